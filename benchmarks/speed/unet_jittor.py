"""Time and memory of evaluations of the UNet by jstyleid, float32 on the CPU.

``python unet_jittor.py FOLDER --latent 64 [--values FILE]`` does with Jittor what
``unet_diffusers.py`` does with torch, on the same inputs, and prints one line of JSON. With FILE,
which that script wrote, it also checks the output.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import load_file

sys.path.append(str(Path(__file__).resolve().parents[2] / "reference"))

import measurement
from jstyleid_core.config import UNetConfig
from jstyleid_core.model.unet import UNet
from jstyleid_core.runtime.jittor import jt
from jstyleid_core.weights.checkpoint import find_checkpoint
from jstyleid_core.weights.loading import load_module
from reference_sets import distance

LIMIT = 1e-4


def main() -> None:
    """Print the measurement of the folder named on the command line; fail if it is wrong."""
    parser = measurement.unet_arguments("Measure jstyleid on a UNet.")
    parser.add_argument("--values", type=Path, help="what unet_diffusers.py --out wrote")
    given = parser.parse_args()
    inputs = measurement.unet_inputs(given.folder, given.latent)

    def load() -> tuple[measurement.Evaluate, int]:
        unet = UNet(UNetConfig.read(given.folder / "unet" / "config.json"))
        load_module(unet, find_checkpoint(given.folder).tensors("unet"), "float32")

        def evaluate() -> NDArray[Any]:
            with jt.no_grad():
                output: NDArray[Any] = unet(
                    jt.array(inputs["sample"]), unet.waves(inputs["timestep"], 1),
                    jt.array(inputs["context"])
                ).numpy()
            return output

        return evaluate, sum(p.numel() * 4 for p in unet.parameters())

    report, output = measurement.measure_unet(load, given.evaluations)
    if given.values is not None:
        report["distance"] = distance(output, load_file(given.values)["out"])
        if report["distance"] > LIMIT:
            sys.exit(f"the output is {report['distance']:.1e} away from diffusers', limit {LIMIT}")
    measurement.print_report(report)


if __name__ == "__main__":
    main()
