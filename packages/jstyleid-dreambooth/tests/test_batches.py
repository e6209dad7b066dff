"""What the batches of a training are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jstyleid_dreambooth.training.batches import Batch, BatchSampler
from jstyleid_dreambooth.training.dataset import Posterior, Samples
from jstyleid_dreambooth.training.settings import TrainingSettings

# With a text encoder that is trained, batches hold the tokens of the prompts.
SETTINGS = TrainingSettings(text_targets=("q_proj",), batch=3)


def pictures(count: int, prompt: str, *sizes: tuple[int, int], weight: float = 1.0) -> Samples:
    """Pictures whose latents hold their number, of these sizes in turn."""
    posteriors = []
    for number in range(count):
        shape = (1, 4, *(sizes[number % len(sizes)] if sizes else (2, 2)))
        posteriors.append(Posterior(np.full(shape, number, np.float32),
                                    np.zeros(shape, np.float32)))
    return Samples(tuple(posteriors), (prompt,) * count, weight)


def numbers(batch: Batch) -> list[int]:
    return batch.latents[:, 0, 0, 0].astype(int).tolist()


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_the_captions_of_samples_are_left_out_and_nothing_else_changes(
    share: float, model: Any
) -> None:
    groups = [pictures(4, "a ring in style_00"), pictures(5, "a ring")]
    settings = SETTINGS.model_copy(update={"caption_dropout": share})
    whole, dropping = (BatchSampler(model, groups, each) for each in (SETTINGS, settings))
    empty = model.tokenizer([""])[0]
    dropped = []
    for step in range(1, 101):
        [before], [after] = whole.batches(step), dropping.batches(step)
        assert np.array_equal(before.latents, after.latents)
        assert np.array_equal(before.noise, after.noise)
        assert np.array_equal(before.timesteps, after.timesteps)
        assert np.array_equal(before.tokens[3:], after.tokens[3:])
        missing = (after.tokens[:3] == empty).all(axis=1)
        assert np.array_equal(before.tokens[:3][~missing], after.tokens[:3][~missing])
        dropped += missing.tolist()
    # Five standard deviations of 300 draws.
    assert np.mean(dropped) == pytest.approx(share, abs=0.13 if share < 1 else 0)
    again = BatchSampler(model, groups, settings)
    assert np.array_equal(again.batches(50)[0].tokens, dropping.batches(50)[0].tokens)


def test_batches_of_one_size(model: Any) -> None:
    sizes = ((2, 2), (2, 3), (2, 2), (3, 2), (2, 2))
    sampler = BatchSampler(model, [pictures(7, "a ring", *sizes)], SETTINGS)
    orders = []
    for cycle in range(4):
        # As many batches as pictures show each picture as often as a batch has places.
        batches = [sampler.batches(cycle * 7 + step)[0] for step in range(1, 8)]
        for batch in batches:
            assert len({sizes[number % 5] for number in numbers(batch)}) == 1
            assert batch.latents.shape == batch.noise.shape == (3, 4, *sizes[numbers(batch)[0] % 5])
        shown = [number for batch in batches for number in numbers(batch)]
        assert sorted(shown) == sorted(list(range(7)) * 3)
        orders.append([batch.latents.shape for batch in batches])
    assert orders[0] != orders[1]
    other = SETTINGS.model_copy(update={"seed": 1})
    another = BatchSampler(model, [pictures(7, "a ring", *sizes)], other)
    assert [another.batches(step)[0].latents.shape for step in range(1, 8)] != orders[0]


def test_pictures_of_one_size_are_in_the_order_of_before(model: Any) -> None:
    """The numbers are those of version 0.1.0, which had no buckets."""
    groups = [pictures(5, "a ring"), pictures(4, "a cup", weight=0.5)]
    sampler = BatchSampler(model, groups, SETTINGS.model_copy(update={"batch": 2, "seed": 3}))
    batches = [sampler.batches(step)[0] for step in (1, 2, 3, 9)]
    assert [numbers(batch) for batch in batches] == [
        [4, 2, 2, 0], [1, 3, 1, 3], [0, 1, 3, 2], [2, 4, 1, 0]]
    assert [batch.timesteps.tolist() for batch in batches] == [
        [555, 17, 89, 70], [931, 635, 986, 150], [265, 498, 134, 752], [613, 81, 745, 371]]


@pytest.mark.parametrize("accumulation", [1, 2])
def test_class_images_of_another_size_are_a_batch_of_their_own(
    accumulation: int, model: Any
) -> None:
    settings = SETTINGS.model_copy(update={"batch": 2, "accumulation": accumulation})
    groups = [pictures(4, "a ring", (2, 2), (2, 3)), pictures(3, "a cup", weight=0.5)]
    sampler = BatchSampler(model, groups, settings)
    counts = set()
    for step in range(1, 9):
        batches = sampler.batches(step)
        counts.add(len(batches))
        # A learner takes the mean over the batches.
        shares = np.zeros(2)
        for batch in batches:
            class_images = (batch.tokens == model.tokenizer(["a cup"])).all(axis=1)
            for kind in (0, 1):
                shares[kind] += batch.weights[class_images == kind].sum() / len(batches)
        assert shares == pytest.approx([1, 0.5])
    assert counts == set(range(accumulation, 2 * accumulation + 1))
