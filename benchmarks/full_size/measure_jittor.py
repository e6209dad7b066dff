"""Time and memory of one full-size UNet evaluation by jstyleid, float32 on the CPU.

``python measure_jittor.py FOLDER [--values FILE]`` does with Jittor what ``measure_diffusers.py``
does with torch, on the same inputs, and prints one line of JSON.  With FILE, which that script
wrote, it also checks the output and prints the relative L2 distance.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "reference"))

import measurement
from jstyleid_core.backend import jt
from jstyleid_core.model.config import UNetConfig
from jstyleid_core.model.unet import UNet
from jstyleid_core.weights.layout import find_checkpoint
from jstyleid_core.weights.loading import load_module
from reference_sets import distance

LIMIT = 2e-3


def measure(folder: Path, values: Path | None) -> tuple[measurement.Report, float | None]:
    """Load the UNet in ``folder``, evaluate it twice; return the cost and the distance."""
    import_bytes = measurement.resident_bytes()
    start = time.perf_counter()
    unet = UNet(UNetConfig.read(folder / "unet" / "config.json"))
    load_module(unet, "unet", find_checkpoint(folder).weights("unet"), "float32")
    load_seconds = time.perf_counter() - start
    load_peak = measurement.peak_bytes()
    model_bytes = sum(p.numel() * 4 for p in unet.parameters())

    inputs = measurement.inputs()
    seconds = []
    measurement.reset_peak()
    for _ in range(2):
        start = time.perf_counter()
        with jt.no_grad():
            output = unet(jt.array(inputs["sample"]), inputs["timestep"],
                          jt.array(inputs["context"])).numpy()
        seconds.append(time.perf_counter() - start)
    report = measurement.Report(
        implementation="jstyleid",
        threads=int(os.environ["OMP_NUM_THREADS"]),
        model_bytes=model_bytes,
        import_bytes=import_bytes,
        load_seconds=load_seconds,
        load_peak_bytes=load_peak,
        forward_first_seconds=seconds[0],
        forward_second_seconds=seconds[1],
        forward_peak_bytes=measurement.peak_bytes(),
    )
    return report, None if values is None else distance(output, load_file(values)["out"])


def main() -> None:
    """Print the measurement of the folder named on the command line; fail if it is wrong."""
    parser = argparse.ArgumentParser(description="Measure jstyleid on a full-size UNet.")
    parser.add_argument("folder", type=Path, help="as written by write_checkpoint.py")
    parser.add_argument("--values", type=Path, help="what measure_diffusers.py --out wrote")
    arguments = parser.parse_args()
    report, error = measure(arguments.folder, arguments.values)
    print(report.line())
    if error is not None:
        print(f"relative L2 distance to diffusers: {error:.2e}", file=sys.stderr)
        if error > LIMIT:
            sys.exit(f"the output is more than {LIMIT} away from diffusers'")


if __name__ == "__main__":
    main()
