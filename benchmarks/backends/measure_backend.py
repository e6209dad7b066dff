"""Time and memory of a checkpoint in one backend: float32 on the CPU, float16 on CUDA.

``python measure_backend.py BACKEND FOLDER [--latent 64] [--evaluations 5] [--lora FILE]`` loads a
checkpoint's networks, evaluates the UNet, and prints one line of JSON; memory is the resident set
in bytes. ``--output FILE`` keeps the UNet's answer, by which two backends can be compared.
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
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "speed"))

from jstyleid_core.backends import build_networks
from jstyleid_core.runtime import Backend
from jstyleid_core.runtime.jittor import jt
from jstyleid_core.weights.checkpoint import find_checkpoint
from jstyleid_core.weights.loading import load_networks
from jstyleid_dreambooth import LoRAs, read_lora
from measurement import peak_bytes, reset_peak


def measure(
    backend: Backend, folder: Path, latent: int, evaluations: int, lora: Path | None
) -> tuple[dict[str, Any], NDArray[Any]]:
    """Load and evaluate; the first evaluation, which may compile kernels, is not counted.

    Returns:
        The report, and the UNet's answer.
    """
    dtype = "float16" if jt.flags.use_cuda else "float32"
    start = time.perf_counter()
    networks = build_networks(backend, find_checkpoint(folder).architecture, dtype)
    built = time.perf_counter()
    load_networks(networks, find_checkpoint(folder), dtype, None)
    loaded = time.perf_counter()
    report: dict[str, Any] = {"build_seconds": built - start, "load_seconds": loaded - built,
                              "load_peak_bytes": peak_bytes()}
    if lora is not None:
        LoRAs({"unet": networks.unet}).add("lora", read_lora(lora))
    rng = np.random.default_rng(0)
    sample = rng.standard_normal((1, 4, latent, latent), dtype=np.float32)
    width = networks.unet_config.cross_attention_dim
    context = rng.standard_normal((1, 77, width), dtype=np.float32)
    seconds, processor = [], []
    reset_peak()
    for _ in range(evaluations + 1):
        start, used = time.perf_counter(), time.process_time()
        with jt.no_grad():
            output = networks.predict(jt.array(sample), 501, jt.array(context)).numpy()
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    report |= {"first_seconds": seconds[0], "seconds": statistics.median(seconds[1:]),
               "processor_seconds": statistics.median(processor[1:]),
               "peak_bytes": peak_bytes()}
    return report, output


def main() -> None:
    """Print the measurement of the backend and folder named on the command line."""
    parser = argparse.ArgumentParser(description="Measure a backend.")
    parser.add_argument("backend", choices=("native", "jdiffusion"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latent", type=int, default=64, help="side of the latent")
    parser.add_argument("--evaluations", type=int, default=5)
    parser.add_argument("--lora", type=Path, help="a LoRA to evaluate with")
    parser.add_argument("--output", type=Path, help="a .npy file for the UNet's answer")
    arguments = parser.parse_args()
    report, output = measure(arguments.backend, arguments.folder, arguments.latent,
                             arguments.evaluations, arguments.lora)
    if arguments.output is not None:
        np.save(arguments.output, output)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
