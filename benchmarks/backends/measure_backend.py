"""Time and memory of a checkpoint in one backend: float32 on the CPU, float16 on CUDA.

``python measure_backend.py BACKEND FOLDER [--latent 64] [--evaluations 5]`` loads a checkpoint's
networks, evaluates the UNet, and prints one line of JSON; memory is the resident set in bytes. The
norm of the output is in it, by which two backends can be seen to compute the same.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "full_size"))

from jstyleid_core.backend import jt
from jstyleid_core.backends import Backend, build_networks
from jstyleid_core.model.config import Architecture
from jstyleid_core.weights.filling import fill
from jstyleid_core.weights.layout import find_checkpoint
from measurement import peak_bytes, reset_peak


def measure(backend: Backend, folder: Path, latent: int, evaluations: int) -> dict[str, Any]:
    """Load and evaluate; the first evaluation, which may compile kernels, is not counted."""
    dtype = "float16" if jt.flags.use_cuda else "float32"
    start = time.perf_counter()
    networks = build_networks(backend, Architecture.read(folder), dtype)
    built = time.perf_counter()
    fill(networks, find_checkpoint(folder), dtype, None)
    loaded = time.perf_counter()
    report: dict[str, Any] = {"build_seconds": built - start, "load_seconds": loaded - built,
                              "load_peak_bytes": peak_bytes()}
    rng = np.random.default_rng(0)
    sample = rng.standard_normal((1, 4, latent, latent), dtype=np.float32)
    width = networks.unet_config.cross_attention_dim
    context = rng.standard_normal((1, 77, width), dtype=np.float32)
    seconds = []
    reset_peak()
    for _ in range(evaluations + 1):
        start = time.perf_counter()
        with jt.no_grad():
            output = networks.predict(jt.array(sample), 501, jt.array(context)).numpy()
        seconds.append(time.perf_counter() - start)
    report |= {"first_seconds": seconds[0], "seconds": statistics.median(seconds[1:]),
               "peak_bytes": peak_bytes(), "norm": float(np.linalg.norm(output))}
    return report


def main() -> None:
    """Print the measurement of the backend and folder named on the command line."""
    parser = argparse.ArgumentParser(description="Measure a backend.")
    parser.add_argument("backend", choices=("native", "jdiffusion"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latent", type=int, default=64, help="side of the latent")
    parser.add_argument("--evaluations", type=int, default=5)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.backend, arguments.folder, arguments.latent,
                             arguments.evaluations)))


if __name__ == "__main__":
    main()
