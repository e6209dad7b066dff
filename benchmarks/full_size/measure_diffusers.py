"""Time and memory of one full-size UNet evaluation by diffusers, float32 on the CPU.

``python measure_diffusers.py FOLDER [--out FILE]`` loads the UNet of the checkpoint that
``write_checkpoint.py`` wrote, evaluates it twice on the same 64 x 64 latent, and prints one line
of JSON.  FILE (safetensors) gets the inputs and the output, for the Jittor side to compare with.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.numpy import save_file

import measurement


def measure(folder: Path, out: Path | None) -> measurement.Report:
    """Load the UNet in ``folder``, evaluate it twice and return what it cost."""
    import_bytes = measurement.resident_bytes()
    start = time.perf_counter()
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    load_seconds = time.perf_counter() - start
    load_peak = measurement.peak_bytes()
    model_bytes = sum(p.numel() * p.element_size() for p in unet.parameters())

    inputs = measurement.inputs()
    sample, timestep, context = (torch.from_numpy(array) for array in inputs.values())
    seconds = []
    measurement.reset_peak()
    for _ in range(2):
        start = time.perf_counter()
        with torch.no_grad():
            output = unet(sample, timestep, context).sample
        seconds.append(time.perf_counter() - start)
    forward_peak = measurement.peak_bytes()

    if out is not None:
        save_file({**inputs, "out": output.numpy()}, out)
    return measurement.Report(
        implementation="diffusers",
        threads=torch.get_num_threads(),
        model_bytes=model_bytes,
        import_bytes=import_bytes,
        load_seconds=load_seconds,
        load_peak_bytes=load_peak,
        forward_first_seconds=seconds[0],
        forward_second_seconds=seconds[1],
        forward_peak_bytes=forward_peak,
    )


def main() -> None:
    """Print the measurement of the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Measure diffusers on a full-size UNet.")
    parser.add_argument("folder", type=Path, help="as written by write_checkpoint.py")
    parser.add_argument("--out", type=Path, help="safetensors file for inputs and output")
    arguments = parser.parse_args()
    print(measure(arguments.folder, arguments.out).line())


if __name__ == "__main__":
    main()
