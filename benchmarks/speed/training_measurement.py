"""What both training measurements share: the procedure, what is trained on, and the report.

Standard library and numpy only, as one runs beside torch and the other beside Jittor.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurement import Report, peak_bytes, reset_peak

RANK = 4
LEARNING_RATE = 1e-4
TARGETS = ("to_q", "to_k", "to_v", "to_out.0")

Step = Callable[[dict[str, NDArray[Any]]], float]
"""One step of the optimizer on some examples; returns the loss."""


def arguments(description: str) -> argparse.Namespace:
    """Parse the command line of a measurement."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path, help="a checkpoint in diffusers layout")
    parser.add_argument("--latent", type=int, required=True, help="height and width of the latents")
    parser.add_argument("--steps", type=int, required=True, help="at least 2")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    return parser.parse_args()


def measure(load: Callable[[], Step], given: argparse.Namespace) -> Report:
    """Load, train for some steps, and return the seconds of a step, the memory and the losses."""
    step = load()
    reset_peak()
    losses, seconds = [], []
    for number in range(given.steps):
        batch = examples(given.folder, given.latent, number)
        start = time.perf_counter()
        losses.append(step(batch))
        seconds.append(time.perf_counter() - start)
    return {
        "seconds": statistics.median(seconds[1:]),
        "first_seconds": seconds[0],  # kernels may be compiled in it
        "peak_bytes": peak_bytes(),
        **{f"loss_{number}": loss for number, loss in enumerate(losses)},
    }


def examples(folder: Path, latent: int, step: int) -> dict[str, NDArray[Any]]:
    """Return a step's batch of one: clean, noise (1, 4, h, w), timesteps (1,), context."""
    config = json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8"))
    rng = np.random.default_rng(step)
    clean, noise = rng.standard_normal((2, 1, 4, latent, latent), dtype=np.float32)
    context = rng.standard_normal((1, 77, config["cross_attention_dim"]), dtype=np.float32)
    return {"clean": clean, "noise": noise, "timesteps": rng.integers(1000, size=1),
            "context": context}
