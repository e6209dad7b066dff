"""Training batches, drawn at random from the seed and the step's number alone.

A training that is resumed therefore sees the same batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jstyleid_core import StableDiffusion
from jstyleid_core.runtime.jittor import Var, jt
from jstyleid_dreambooth.training.dataset import Samples
from jstyleid_dreambooth.training.settings import TrainingSettings

_ORDER, _STEP, _CAPTIONS = 0, 1, 3  # what a seed is for; 2 is in `train`
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
        self._timesteps = len(model.schedule.alphas_cumprod)
        prompts = dict.fromkeys(prompt for group in groups for prompt in group.prompts)
        if settings.caption_dropout:
            prompts[_NOTHING] = None
        self._tokens = {prompt: model.tokenizer([prompt]).astype(np.int32) for prompt in prompts}
        self._contexts: dict[str, Var] | None = None
        if not settings.text_targets:
            self._contexts = {prompt: model.embed([prompt]) for prompt in prompts}

    def batches(self, step: int) -> list[Batch]:
        """Those of one optimizer step, one for each accumulated gradient; the first step is 1."""
        count = self._settings.accumulation
        return [self._batch((step - 1) * count + number) for number in range(count)]

    def _batch(self, number: int) -> Batch:
        latents, prompts, weights = [], [], []
        rng = np.random.default_rng([self._settings.seed, _STEP, number])
        dropout = self._dropout(number)
        size = self._settings.batch
        for which, group in enumerate(self._groups):
            for place in range(number * size, (number + 1) * size):
                index = self._index(which, place)
                latents.append(group.posteriors[index].sample(rng))
                left_out = which == 0 and next(dropout)
                prompts.append(_NOTHING if left_out else group.prompts[index])
                weights.append(group.weight / size)
        clean = np.stack(latents)
        return Batch(
            latents=clean,
            noise=rng.standard_normal(clean.shape, dtype=np.float32),
            timesteps=rng.integers(self._timesteps, size=len(clean)),
            context=self._context(prompts),
            weights=np.array(weights, np.float32),
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

    def _index(self, which: int, place: int) -> int:
        """The picture at a place of the endless row of shuffled epochs."""
        count = len(self._groups[which].posteriors)
        epoch, position = divmod(place, count)
        rng = np.random.default_rng([self._settings.seed, _ORDER, which, epoch])
        return int(rng.permutation(count)[position])

    def _context(self, prompts: Sequence[str]) -> Var | None:
        if self._contexts is None:
            return None
        contexts = [self._contexts[prompt] for prompt in prompts]
        return contexts[0] if len(contexts) == 1 else jt.concat(contexts, dim=0)
