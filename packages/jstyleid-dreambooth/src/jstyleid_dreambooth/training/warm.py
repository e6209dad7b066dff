"""Compilation of the kernels of training ahead of time, by training a tiny random model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from jstyleid_core.progress import Preparing
from jstyleid_core.runtime import Backend, build
from jstyleid_core.runtime.jittor import jt
from jstyleid_core.warm import mark, tiny_model
from jstyleid_dreambooth.lora.loras import LoRAs
from jstyleid_dreambooth.training.batches import Batch
from jstyleid_dreambooth.training.learner import Learner
from jstyleid_dreambooth.training.settings import TrainingSettings

_SHAPE = (4, 8, 8)
_CHECKPOINTING: dict[Backend, tuple[bool, ...]] = {"native": (False, True), "jdiffusion": (False,)}
"""Rounds without and, where possible, with gradient checkpointing."""


def is_training_warm(backend: Backend = "native") -> bool:
    """Whether `warm_training` has run here for a backend, on this device and with this version."""
    return mark("training", backend).is_file()


def warm_training(preparing: Preparing | None = None, backend: Backend = "native") -> None:
    """Take a few steps with a tiny model of each kind, at batch 1 and 2.

    Args:
        preparing: called with the number of rounds that are done.
        backend: library of the networks.
    """
    rounds = 2 * 2 * len(_CHECKPOINTING[backend])
    with build.warming(jt):
        for done, _ in enumerate(_rounds(backend)):
            if preparing:
                preparing("compiling kernels of training", done, rounds)
    jt.gc()
    mark("training", backend).touch()


def _rounds(backend: Backend) -> Iterator[None]:
    """Yields before the first round and after each."""
    yield
    for two_one in (True, False):
        model = tiny_model(two_one, backend)
        loras = LoRAs.of(model)
        for checkpointing in _CHECKPOINTING[backend]:
            settings = TrainingSettings(gradient_checkpointing=checkpointing, accumulation=2,
                                        max_grad_norm=1e-3)
            loras.create("warm", settings.lora)
            learner = Learner(model, loras, "warm", settings)
            for batch in (1, 2):
                numbers = np.ones((batch, *_SHAPE), np.float32)
                learner.step([Batch(numbers, numbers, np.zeros(batch, np.int64),
                                    model.embed(["warm"] * batch), np.ones(batch, np.float32))] * 2)
                yield
            learner.close()
