"""Time and memory of evaluations of the UNet by diffusers, float32 on the CPU.

``python unet_diffusers.py FOLDER --latent 64 [--compile] [--out FILE]`` loads the UNet of a
checkpoint, evaluates it, and prints one line of JSON. FILE (safetensors) gets the inputs and the
output, for the Jittor side to compare with.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from numpy.typing import NDArray
from safetensors.numpy import save_file

import measurement


def main() -> None:
    """Print the measurement of the folder named on the command line."""
    parser = measurement.unet_arguments("Measure diffusers on a UNet.")
    parser.add_argument("--compile", action="store_true", help="by torch.compile")
    parser.add_argument("--out", type=Path, help="safetensors file for inputs and output")
    given = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    inputs = measurement.unet_inputs(given.folder, given.latent)

    def load() -> tuple[measurement.Evaluate, int]:
        unet = UNet2DConditionModel.from_pretrained(given.folder / "unet",
                                                    torch_dtype=torch.float32)
        network = torch.compile(unet) if given.compile else unet

        def evaluate() -> NDArray[Any]:
            sample, timestep, context = (torch.from_numpy(array) for array in inputs.values())
            with torch.no_grad():
                output: NDArray[Any] = network(sample, timestep, context).sample.numpy()
            return output

        return evaluate, sum(p.numel() * p.element_size() for p in unet.parameters())

    report, output = measurement.measure_unet(load, given.evaluations)
    if given.out is not None:
        save_file({**inputs, "out": output}, given.out)
    measurement.print_report(report)


if __name__ == "__main__":
    main()
