"""Time and memory of one full-size UNet evaluation by jstyleid, float32 on the CPU.

``python measure_jittor.py FOLDER [--values FILE]`` does with Jittor what ``measure_diffusers.py``
does with torch, on the same inputs, and prints one line of JSON.  With FILE, which that script
wrote, it also checks the output and prints the relative L2 distance.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "reference"))

import measurement
from jstyleid_core.config import UNetConfig
from jstyleid_core.model.unet import UNet
from jstyleid_core.runtime.jittor import jt
from jstyleid_core.weights.checkpoint import find_checkpoint
from jstyleid_core.weights.loading import load_module
from reference_sets import distance

LIMIT = 2e-3


def measure(folder: Path, values: Path | None) -> tuple[measurement.Report, float | None]:
    """Load the UNet in ``folder``, evaluate it twice; return the cost and the distance."""
    inputs = measurement.inputs()

    def load() -> tuple[measurement.Evaluate, int]:
        unet = UNet(UNetConfig.read(folder / "unet" / "config.json"))
        load_module(unet, find_checkpoint(folder).tensors("unet"), "float32")

        def evaluate() -> NDArray[Any]:
            with jt.no_grad():
                output: NDArray[Any] = unet(
                    jt.array(inputs["sample"]), inputs["timestep"], jt.array(inputs["context"])
                ).numpy()
            return output

        return evaluate, sum(p.numel() * 4 for p in unet.parameters())

    report, output = measurement.measure("jstyleid", int(os.environ["OMP_NUM_THREADS"]), load)
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
