"""Time and memory of DreamBooth-LoRA's steps by jstyleid, float32 on the CPU.

``python train_jittor.py FOLDER --latent 64 --steps 3 [--gradient-checkpointing]`` does with Jittor
what ``train_diffusers.py`` does with torch, from the same start on the same examples.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "reference"))

import numpy as np
from numpy.typing import NDArray

import training_measurement
from jstyleid_core import StableDiffusion
from jstyleid_core.runtime import DType
from jstyleid_core.runtime.jittor import jt
from jstyleid_dreambooth import LoRAs, LoRAWeights, new_lora
from jstyleid_dreambooth.lora.weights import as_float32
from jstyleid_dreambooth.training.batches import Batch
from jstyleid_dreambooth.training.learner import Learner
from jstyleid_dreambooth.training.settings import TrainingSettings
from measurement import print_report
from small_checkpoint import draw


def load(given: argparse.Namespace, dtype: DType = "float32") -> training_measurement.Step:
    """Return a step of the training of a new LoRA."""
    model = StableDiffusion.load(given.folder, dtype=dtype)
    settings = TrainingSettings(
        steps=given.steps, rank=training_measurement.RANK, targets=training_measurement.TARGETS,
        learning_rate=training_measurement.LEARNING_RATE,
        gradient_checkpointing=given.gradient_checkpointing,
    )
    loras = LoRAs.of(model)
    loras.add("x", drawn(new_lora(loras.layouts, settings.lora)))
    learner = Learner(model, loras, "x", settings)

    def step(batch: dict[str, NDArray[Any]]) -> float:
        return learner.step([Batch(
            batch["clean"], batch["noise"], batch["timesteps"], jt.array(batch["context"]),
            np.ones(1, np.float32),
        )]).loss

    return step


def drawn(new: LoRAWeights) -> LoRAWeights:
    """Return a new LoRA with the A that the torch side starts from; B is zero on both."""
    return replace(new, layers={
        part: {path: replace(layer, down=as_float32(
            draw(f"{part}.{path}.down", layer.down.shape, 0, "float32")))
               for path, layer in layers.items()}
        for part, layers in new.layers.items()
    })


def main() -> None:
    """Print the measurement."""
    given = training_measurement.arguments("Measure the training of a LoRA by jstyleid.")
    print_report(training_measurement.measure(lambda: load(given), given))


if __name__ == "__main__":
    main()
