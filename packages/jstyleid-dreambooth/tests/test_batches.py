"""What the batches of a training are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jstyleid_dreambooth.training.batches import BatchSampler
from jstyleid_dreambooth.training.dataset import Posterior, Samples
from jstyleid_dreambooth.training.settings import TrainingSettings

# With a text encoder that is trained, batches hold the tokens of the prompts.
SETTINGS = TrainingSettings(text_targets=("q_proj",), batch=3)


def pictures(count: int, prompt: str) -> Samples:
    posteriors = [Posterior(np.full((1, 4, 2, 2), number, np.float32),
                            np.zeros((1, 4, 2, 2), np.float32)) for number in range(count)]
    return Samples(tuple(posteriors), (prompt,) * count, 1.0)


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
