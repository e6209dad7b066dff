"""A training gives the same bits however many threads compute it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from computing import on_each_number_of_threads
from jstyleid_dreambooth import LoRAs
from jstyleid_dreambooth.training.batches import Batch
from jstyleid_dreambooth.training.learner import Learner
from jstyleid_dreambooth.training.settings import TrainingSettings


@pytest.mark.parametrize("settings", [
    {}, {"targets": ("conv1", "time_emb_proj", "downsamplers.0.conv", "ff.net.2"),
         "text_targets": ("q_proj",)},
])
def test_two_steps(model: Any, loras: LoRAs, settings: dict[str, Any]) -> None:
    chosen = TrainingSettings(**settings)
    rng = np.random.default_rng(0)
    clean, noise = (rng.standard_normal((2, 4, 16, 16), dtype=np.float32) for _ in range(2))
    prompts = ["a ring", "a boat"]
    text = ({"context": None, "tokens": model.tokenizer(prompts)} if chosen.text_targets
            else {"context": model.embed(prompts)})
    batch = Batch(clean, noise, np.array([500, 20]), weights=np.ones(2, np.float32), **text)

    def train() -> dict[str, bytes]:
        loras.create("x", chosen.lora)
        learner = Learner(model, loras, "x", chosen)
        try:
            for _ in range(2):
                learner.step([batch])
            return {name: array.tobytes() for name, array in learner.tensors().items()}
        finally:
            learner.close()
            loras.remove("x")

    one, *more = on_each_number_of_threads(train)
    for others in more:
        assert [name for name in one if one[name] != others[name]] == []
