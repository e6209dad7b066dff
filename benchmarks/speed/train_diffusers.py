"""Time and memory of DreamBooth-LoRA's steps by torch, diffusers and peft, float32 on the CPU.

``python train_diffusers.py FOLDER --latent 64 --steps 3 [--gradient-checkpointing]`` loads a
checkpoint, trains a LoRA on its UNet's attention with the loop of ``reference/training_torch.py``,
and prints one line of JSON.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "reference"))

import torch
from numpy.typing import NDArray

import reference_values
import training_measurement
from measurement import print_report
from small_checkpoint import draw
from training_torch import Examples, Settings, Training, adapt


class Trainer:
    """A new LoRA in training; it holds all networks, as a training of diffusers does."""

    def __init__(self, given: argparse.Namespace, threads: int) -> None:
        self.pipeline = reference_values.load(given.folder)
        torch.set_num_threads(threads)  # reference values are computed with one
        settings = Settings(steps=given.steps, rank=training_measurement.RANK,
                            alpha=training_measurement.RANK,
                            learning_rate=training_measurement.LEARNING_RATE)
        unet = self.pipeline.unet
        adapt(unet, settings, training_measurement.TARGETS)
        unet.train()
        if given.gradient_checkpointing:
            unet.enable_gradient_checkpointing()
        self.training = Training({"unet": unet}, self.pipeline.scheduler, settings)
        for name, var in self.training.trainables.items():
            if name.endswith(".down"):
                var.data = torch.from_numpy(draw(name, var.shape, 0, "float32"))

    def step(self, batch: dict[str, NDArray[Any]]) -> float:
        """Take one step; return the loss."""
        tensors = {key: torch.from_numpy(array) for key, array in batch.items()}
        return self.training.step([Examples(**tensors)]).loss


def main() -> None:
    """Print the measurement."""
    given = training_measurement.arguments("Measure the training of a LoRA by diffusers.")
    threads = int(os.environ["OMP_NUM_THREADS"])
    print_report(training_measurement.measure(lambda: Trainer(given, threads).step, given))


if __name__ == "__main__":
    main()
