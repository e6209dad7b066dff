"""What the measurements beside torch and beside Jittor share: procedures, inputs, the report.

Standard library and numpy only, because one side runs beside torch and the other beside Jittor.
Memory is the resident set as Linux counts it, in bytes; memory-mapped file pages that were touched
are included.
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

Evaluate = Callable[[], NDArray[Any]]
Report = dict[str, float]
"""What was measured, by name; printed as one line of JSON."""

TIMESTEP = 501
PIXELS = 128
BATCH = 5
"""Pictures that share a style, and the size of a batch, in the measurement of StyleID."""
STEPS = 20


def unet_arguments(description: str) -> argparse.ArgumentParser:
    """The command line of a measurement of the UNet."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path, help="a checkpoint in diffusers layout")
    parser.add_argument("--latent", type=int, default=64, help="height and width of the latents")
    parser.add_argument("--evaluations", type=int, default=2, help="at least 2")
    return parser


def measure_unet(
    load: Callable[[], tuple[Evaluate, int]], evaluations: int
) -> tuple[Report, NDArray[Any]]:
    """Load a UNet and evaluate it several times.

    Args:
        load: returns the evaluation, from nothing to the output, and the bytes of the parameters.
        evaluations: number of evaluations; the median of all but the first is reported.

    Returns:
        The report and the output.
    """
    start = time.perf_counter()
    evaluate, model_bytes = load()
    load_seconds = time.perf_counter() - start
    load_peak = peak_bytes()
    reset_peak()
    seconds = []
    for _ in range(evaluations):
        start = time.perf_counter()
        output = evaluate()
        seconds.append(time.perf_counter() - start)
    return {
        "model_bytes": model_bytes,
        "load_seconds": load_seconds,
        "load_peak_bytes": load_peak,
        "first_seconds": seconds[0],
        "seconds": statistics.median(seconds[1:]),
        "peak_bytes": peak_bytes(),
    }, output


def unet_inputs(folder: Path, latent: int) -> dict[str, NDArray[Any]]:
    """Inputs of a checkpoint's UNet: sample (1, 4, h, w), timestep (1,), context (1, 77, C)."""
    config = json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8"))
    rng = np.random.default_rng(0)
    return {
        "sample": rng.standard_normal((1, 4, latent, latent), dtype=np.float32),
        "timestep": np.array([TIMESTEP], dtype=np.int32),
        "context": rng.standard_normal((1, 77, config["cross_attention_dim"]), dtype=np.float32),
    }


def pictures() -> list[NDArray[np.uint8]]:
    """A style and the contents that get it, each (PIXELS, PIXELS, 3)."""
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (1 + BATCH, 8, 8, 3), dtype=np.uint8)
    return list(small.repeat(PIXELS // 8, 1).repeat(PIXELS // 8, 2))


def median_seconds(compute: Callable[[], Any], rounds: int) -> float:
    """The median time of a computation."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        compute()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def print_report(report: Report) -> None:
    """Print a report as one line of JSON."""
    print(json.dumps(report))


def peak_bytes() -> int:
    """The most that was in memory since the start or the last `reset_peak`."""
    return _status("VmHWM")


def reset_peak() -> None:
    """Let the peak start anew from the present size."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _status(key: str) -> int:
    """An entry of /proc/self/status, which is in KiB, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024
    raise RuntimeError(f"/proc/self/status has no {key}")
