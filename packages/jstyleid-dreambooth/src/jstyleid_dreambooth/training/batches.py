"""Training batches, drawn at random from the seed and the step's number alone.

A training that is resumed therefore sees the same batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jstyleid_core import StableDiffusion
from jstyleid_core.runtime.jittor import Var, jt
from jstyleid_dreambooth.training.dataset import Samples
from jstyleid_dreambooth.training.settings import TrainingSettings

_ORDER, _STEP, _CAPTIONS, _BUCKETS = 0, 1, 3, 4  # what a seed is for; 2 is in `train`
_NOTHING = ""
"""The prompt in the place of one that is left out."""


@dataclass(frozen=True)
class Batch:
    """Latents with their noise, timesteps and texts.

    Attributes:
        latents: (B, 4, h, w) float32, clean and scaled.
        noise: (B, 4, h, w) float32, standard normal.
        timesteps: (B,) integers in [0, 1000).
        context: (B, 77, C) text embeddings; None where the text encoder is trained too.
        weights: (B,) of each example in the loss: 1 / B for samples alone.
        tokens: (B, 77) token ids, for a text encoder that is trained.
    """

    latents: NDArray[np.float32]
    noise: NDArray[np.float32]
    timesteps: NDArray[np.int64]
    context: Var | None
    weights: NDArray[np.float32]
    tokens: NDArray[np.int32] | None = None


class _Example(NamedTuple):
    """A picture of a batch: clean latents (4, h, w), prompt, weight in the loss."""

    latents: NDArray[np.float32]
    prompt: str
    weight: float


class BatchSampler:
    """Batches of a training: samples in a new order each epoch, noise, timesteps, texts.

    Args:
        model: model; its text encoder reads each prompt once.
        groups: the samples, and class images if any; each gives `settings.batch` examples.
        settings: settings of the training.
    """

    def __init__(
        self, model: StableDiffusion, groups: Sequence[Samples], settings: TrainingSettings
    ) -> None:
        self._groups, self._settings = groups, settings
        self._orders = [_Order(settings, which, group) for which, group in enumerate(groups)]
        self._timesteps = len(model.schedule.alphas_cumprod)
        prompts = dict.fromkeys(prompt for group in groups for prompt in group.prompts)
        if settings.caption_dropout:
            prompts[_NOTHING] = None
        self._tokens = {prompt: model.tokenizer([prompt]).astype(np.int32) for prompt in prompts}
        self._contexts: dict[str, Var] | None = None
        if not settings.text_targets:
            self._contexts = {prompt: model.embed([prompt]) for prompt in prompts}

    def batches(self, step: int) -> list[Batch]:
        """Those of one optimizer step, whose losses' mean is the objective; the first step is 1.

        There is one for each accumulated gradient, or, where samples and class images have other
        sizes, one for each size.
        """
        count = self._settings.accumulation
        found = [batch for number in range((step - 1) * count, step * count)
                 for batch in self._batches(number)]
        if len(found) == count:
            return found
        # Each loss is divided by the number of batches.
        more = np.float32(len(found) / count)
        return [replace(batch, weights=batch.weights * more) for batch in found]

    def _batches(self, number: int) -> Iterator[Batch]:
        """The examples of one gradient, those of one size together."""
        rng = np.random.default_rng([self._settings.seed, _STEP, number])
        dropout = self._dropout(number)
        by_size: dict[tuple[int, ...], list[_Example]] = {}
        for which, group in enumerate(self._groups):
            for index in self._orders[which].batch(number):
                latents = group.posteriors[index].sample(rng)
                left_out = which == 0 and next(dropout)
                example = _Example(latents, _NOTHING if left_out else group.prompts[index],
                                   group.weight / self._settings.batch)
                by_size.setdefault(latents.shape, []).append(example)
        for examples in by_size.values():
            clean = np.stack([example.latents for example in examples])
            prompts = [example.prompt for example in examples]
            yield Batch(
                latents=clean,
                noise=rng.standard_normal(clean.shape, dtype=np.float32),
                timesteps=rng.integers(self._timesteps, size=len(clean)),
                context=self._context(prompts),
                weights=np.array([example.weight for example in examples], np.float32),
                tokens=np.concatenate([self._tokens[prompt] for prompt in prompts])
                if self._contexts is None else None,
            )

    def _dropout(self, number: int) -> Iterator[bool]:
        """Whether each prompt of a batch is left out, from numbers that nothing else is drawn of.

        With guidance the empty prompt's prediction is used too (Ho and Salimans, arXiv
        2207.12598): trained with it, it knows the style.
        """
        rng = np.random.default_rng([self._settings.seed, _CAPTIONS, number])
        while True:
            yield rng.random() < self._settings.caption_dropout

    def _context(self, prompts: Sequence[str]) -> Var | None:
        if self._contexts is None:
            return None
        contexts = [self._contexts[prompt] for prompt in prompts]
        return contexts[0] if len(contexts) == 1 else jt.concat(contexts, dim=0)


class _Order:
    """The order of the pictures of a group, in batches of pictures of one size.

    The pictures of each size, a bucket, are an endless row of shuffled epochs. Among as many
    batches as there are pictures, each bucket has as many as it has pictures, in shuffled order.
    """

    def __init__(self, settings: TrainingSettings, which: int, group: Samples) -> None:
        self._settings, self._which = settings, which
        sizes = [posterior.mean.shape[1:] for posterior in group.posteriors]
        self._bucket_of = np.array([list(dict.fromkeys(sizes)).index(size) for size in sizes])
        self._buckets = [np.flatnonzero(self._bucket_of == bucket)
                         for bucket in range(len(set(sizes)))]

    def batch(self, number: int) -> list[int]:
        """The pictures of a batch; the first batch is 0."""
        bucket, turn = self._bucket(number)
        size = self._settings.batch
        return [self._picture(bucket, place) for place in range(turn * size, (turn + 1) * size)]

    def _bucket(self, number: int) -> tuple[int, int]:
        """The bucket of a batch, and how many batches it has had before."""
        if len(self._buckets) == 1:
            return 0, number
        count = len(self._bucket_of)
        cycle, position = divmod(number, count)
        order = self._bucket_of[self._shuffled(_BUCKETS, cycle, count)]
        bucket = int(order[position])
        before = int(np.count_nonzero(order[:position] == bucket))
        return bucket, cycle * len(self._buckets[bucket]) + before

    def _picture(self, bucket: int, place: int) -> int:
        """The picture at a place of a bucket's row."""
        pictures = self._buckets[bucket]
        epoch, position = divmod(place, len(pictures))
        # None for the first: pictures of one size have the order that they have without buckets.
        more = (bucket,) if bucket else ()
        return int(pictures[self._shuffled(_ORDER, epoch, len(pictures), *more)[position]])

    def _shuffled(self, use: int, epoch: int, count: int, *more: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self._settings.seed, use, self._which, epoch, *more])
        return rng.permutation(count)
