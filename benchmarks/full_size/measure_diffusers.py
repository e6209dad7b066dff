"""Time and memory of one full-size UNet evaluation by diffusers, float32 on the CPU.

``python measure_diffusers.py FOLDER [--out FILE]`` loads the UNet of the checkpoint that
``write_checkpoint.py`` wrote, evaluates it twice on the same 64 x 64 latent, and prints one line
of JSON.  FILE (safetensors) gets the inputs and the output, for the Jittor side to compare with.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from numpy.typing import NDArray
from safetensors.numpy import save_file

import measurement


def measure(folder: Path, out: Path | None) -> measurement.Report:
    """Load the UNet in ``folder``, evaluate it twice and return what it cost."""
    inputs = measurement.inputs()

    def load() -> tuple[measurement.Evaluate, int]:
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)

        def evaluate() -> NDArray[Any]:
            sample, timestep, context = (torch.from_numpy(array) for array in inputs.values())
            with torch.no_grad():
                output: NDArray[Any] = unet(sample, timestep, context).sample.numpy()
            return output

        return evaluate, sum(p.numel() * p.element_size() for p in unet.parameters())

    report, output = measurement.measure("diffusers", torch.get_num_threads(), load)
    if out is not None:
        save_file({**inputs, "out": output}, out)
    return report


def main() -> None:
    """Print the measurement of the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Measure diffusers on a full-size UNet.")
    parser.add_argument("folder", type=Path, help="as written by write_checkpoint.py")
    parser.add_argument("--out", type=Path, help="safetensors file for inputs and output")
    arguments = parser.parse_args()
    print(measure(arguments.folder, arguments.out).line())


if __name__ == "__main__":
    main()
