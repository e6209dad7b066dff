"""Seconds a picture of StyleID by jstyleid, float32 on the CPU.

``python styleid_jittor.py FOLDER`` computes the pictures of ``styleid_diffusers.py``. A style is
inverted once for several pictures, so each picture has its share of that.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

import measurement
from jstyleid_core import StableDiffusion
from jstyleid_core.styleid.method import StyleID
from jstyleid_core.styleid.settings import StyleIDSettings


def main() -> None:
    """Print the measurement of the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Measure StyleID by jstyleid.")
    parser.add_argument("folder", type=Path, help="a checkpoint in diffusers layout")
    given = parser.parse_args()
    model = StableDiffusion.load(given.folder, dtype="float32")
    styleid = StyleID(model, StyleIDSettings(steps=measurement.STEPS))
    style, *contents = [Image.fromarray(array) for array in measurement.pictures()]

    def one_by_one() -> None:
        held = styleid.invert_style(style)
        for content in contents:
            styleid.transfer([content], held)

    def together() -> None:
        styleid.transfer(contents, styleid.invert_style(style))

    for warm in (one_by_one, together):
        warm()
    measurement.print_report({
        "seconds": measurement.median_seconds(one_by_one, 1) / len(contents),
        "batch_seconds": measurement.median_seconds(together, 3) / len(contents),
    })


if __name__ == "__main__":
    main()
