"""Seconds a picture of StyleID on diffusers, float32 on the CPU.

``python styleid_diffusers.py FOLDER`` computes a picture as the authors' code does: content and
style are inverted for each picture, 60 evaluations of the UNet for 20 steps. That code also
decodes the latents of each step, to look at; the report has the time with these decodes, too.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "reference"))

import torch

import measurement
import reference_values
import styleid_torch


def main() -> None:
    """Print the measurement of the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Measure StyleID on diffusers.")
    parser.add_argument("folder", type=Path, help="a checkpoint in diffusers layout")
    given = parser.parse_args()
    pipeline = reference_values.load(given.folder)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # `load` sets one
    style, content, *_ = measurement.pictures()
    settings = styleid_torch.Settings(measurement.STEPS)
    latent = styleid_torch.encode(pipeline, content)

    def transfer() -> None:
        with torch.no_grad():
            styleid_torch.transfer(pipeline, content, style, settings)

    def decode_each() -> None:
        with torch.no_grad():
            for _ in range(3 * measurement.STEPS):
                styleid_torch.decode(pipeline, latent)

    transfer()
    seconds = measurement.median_seconds(transfer, 3)
    measurement.print_report({
        "seconds": seconds,
        "with_decodes_seconds": seconds + measurement.median_seconds(decode_each, 1),
    })


if __name__ == "__main__":
    main()
