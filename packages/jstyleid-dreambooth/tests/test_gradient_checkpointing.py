"""Gradient checkpointing takes less memory and changes nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jstyleid_core.runtime.jittor import jt
from jstyleid_dreambooth import LoRAs
from jstyleid_dreambooth.training.batches import Batch
from jstyleid_dreambooth.training.learner import Learner
from jstyleid_dreambooth.training.settings import TrainingSettings


def batch(model: Any, side: int) -> Batch:
    rng = np.random.default_rng(0)
    clean, noise = (rng.standard_normal((1, 4, side, side), dtype=np.float32) for _ in range(2))
    return Batch(clean, noise, np.array([500]), model.embed(["a ring"]), np.ones(1, np.float32))


def gradients(model: Any, loras: LoRAs, side: int, **settings: Any) -> tuple[list[Any], int]:
    """Those of a LoRA's second step, and how many bytes Jittor's pools have grown by."""
    chosen = TrainingSettings(**settings)
    loras.create("x", chosen.lora)
    learner = Learner(model, loras, "x", chosen)
    try:
        learner.step([batch(model, side)])
        jt.gc()
        before = jt.get_mem_info().total_cpu_used
        found = [array.numpy() for array in learner.gradients([batch(model, side)]).arrays]
        return found, jt.get_mem_info().total_cpu_used - before
    finally:
        learner.close()
        loras.remove("x")


@pytest.mark.parametrize("settings", [
    {}, {"targets": ("conv1", "conv_in", "time_emb_proj", "downsamplers.0.conv", "conv_out")},
    {"targets": ("up_blocks.2.*.to_q",)}, {"dropout": 0.5},
    {"text_targets": ("q_proj", "fc1"), "targets": ("to_k",)},
])
def test_the_gradients_are_the_same(model: Any, loras: LoRAs, settings: dict[str, Any]) -> None:
    kept, _ = gradients(model, loras, 16, **settings)
    again, _ = gradients(model, loras, 16, **settings, gradient_checkpointing=True)
    for one, other in zip(kept, again, strict=True):
        assert np.abs(one - other).max() <= 1e-5 * np.abs(one).max()


def test_the_memory_is_not(model: Any, loras: LoRAs) -> None:
    _, without = gradients(model, loras, 64)
    _, with_it = gradients(model, loras, 64, gradient_checkpointing=True)
    print(f"activations of a step at 64 x 64: {without / 2**20:.0f} MiB kept, "
          f"{with_it / 2**20:.0f} MiB with checkpointing")
    assert with_it < without / 2
