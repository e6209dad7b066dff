"""Training a float32 LoRA on a float16 network, by the operators that CUDA runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from computing import compute_by_plain_operators
from jstyleid_core import StableDiffusion
from jstyleid_core.runtime.jittor import jt
from jstyleid_core.weights.checkpoint import EMBEDDED_MODEL
from jstyleid_dreambooth import LoRAs
from jstyleid_dreambooth.training.batches import Batch
from jstyleid_dreambooth.training.learner import Learner
from jstyleid_dreambooth.training.settings import TrainingSettings


@pytest.fixture
def halved(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The embedded model in float16, computing without the CPU's kernels."""
    compute_by_plain_operators(monkeypatch)
    model = StableDiffusion.load(EMBEDDED_MODEL)
    for network in (model.unet, model.text_encoder):
        network.float16()
    model.networks.dtype = "float16"
    return model


def batch(model: Any) -> Batch:
    # As small as can be: without the CPU's kernels, and in half, the CPU is slow.
    rng = np.random.default_rng(0)
    clean, noise = (rng.standard_normal((1, 4, 8, 8), dtype=np.float32) for _ in range(2))
    return Batch(clean, noise, np.array([500]), model.embed(["a ring"]), np.ones(1, np.float32))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_are_those_of_float32(model: Any, halved: Any, checkpointing: bool) -> None:
    settings = TrainingSettings(gradient_checkpointing=checkpointing, learning_rate=1e-3)
    found, norms = [], []
    for each in (model, halved):
        loras = LoRAs.of(each)
        loras.create("x", settings.lora)
        learner = Learner(each, loras, "x", settings)
        try:
            gradients = learner.gradients([batch(each)])
            assert all(array.dtype == "float32" for array in gradients.arrays)
            assert all(var.dtype == "float32" for var in learner.trainables.all)
            # Those of B: while B is zero, as it is at first, A has none.
            found.append(np.concatenate([array.numpy().ravel() for array in gradients.arrays]))
            norms.append(gradients.norm)
        finally:
            learner.close()
            loras.detach()
    cosine = found[0] @ found[1] / np.linalg.norm(found[0]) / np.linalg.norm(found[1])
    assert cosine > 0.99
    assert norms[1] == pytest.approx(norms[0], rel=0.05)


def test_an_overflow_halves_the_scale_and_repeats_the_step(halved: Any) -> None:
    settings = TrainingSettings(learning_rate=1e-3)
    loras = LoRAs.of(halved)
    loras.create("x", settings.lora)
    learner = Learner(halved, loras, "x", settings)
    assert learner.scale is not None
    learner.scale.value = 2.0**26
    result = learner.step([batch(halved)])
    assert np.isfinite(result.grad_norm)
    assert learner.optimizer.steps == 1
    assert learner.scale.value < 2.0**26
    tensors = learner.tensors()
    assert all(np.isfinite(values).all() for values in tensors.values())
    assert jt.flags.use_cuda == 0
    learner.close()
    loras.detach()
