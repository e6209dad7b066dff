"""What both training measurements share: the procedure, what is trained on, and the report.

Standard library and numpy only, as one runs beside torch and the other beside Jittor.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurement import peak_bytes, reset_peak

RANK = 4
LEARNING_RATE = 1e-4
TARGETS = ("to_q", "to_k", "to_v", "to_out.0")

Step = Callable[[dict[str, NDArray[Any]]], float]
"""One step of the optimizer on some examples; returns the loss."""


@dataclass(frozen=True)
class Report:
    """One measurement; printed as one line of JSON."""

    implementation: str  # "diffusers" or "jstyleid"
    threads: int
    steps_per_second: float  # the median of all steps but the first
    first_seconds: float  # the first step, in which kernels may be compiled
    peak_bytes: int  # highest resident size from the end of loading on
    losses: list[float]

    def line(self) -> str:
        """Return the report as one line of JSON."""
        return json.dumps(asdict(self))


def arguments(description: str) -> argparse.Namespace:
    """Parse the command line of a measurement."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path, help="a checkpoint in diffusers layout")
    parser.add_argument("--latent", type=int, required=True, help="height and width of the latents")
    parser.add_argument("--steps", type=int, required=True, help="at least 2")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    return parser.parse_args()


def measure(
    implementation: str, threads: int, load: Callable[[], Step], given: argparse.Namespace
) -> Report:
    """Load, train for some steps and return what that cost."""
    step = load()
    reset_peak()
    losses, seconds = [], []
    for number in range(given.steps):
        batch = examples(given.folder, given.latent, number)
        start = time.perf_counter()
        losses.append(step(batch))
        seconds.append(time.perf_counter() - start)
    return Report(
        implementation, threads, round(1 / statistics.median(seconds[1:]), 4),
        round(seconds[0], 3), peak_bytes(), losses,
    )


def examples(folder: Path, latent: int, step: int) -> dict[str, NDArray[Any]]:
    """Return a step's batch of one: clean, noise (1, 4, h, w), timesteps (1,), context."""
    config = json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8"))
    rng = np.random.default_rng(step)
    clean, noise = rng.standard_normal((2, 1, 4, latent, latent), dtype=np.float32)
    context = rng.standard_normal((1, 77, config["cross_attention_dim"]), dtype=np.float32)
    return {"clean": clean, "noise": noise, "timesteps": rng.integers(1000, size=1),
            "context": context}
