"""Every variant of StyleID on one model under one protocol: a table, and pictures.

    python benchmarks/methods/compare_methods.py --work FOLDER [--page docs/methods.md]

With the embedded model: six looks that it has never seen, eight contents each. With other weights:

    … --model stabilityai/stable-diffusion-2-1 --size 512 --contents CONTENTS --styles STYLES

for two folders of pictures, as the paper's 20 contents and 40 styles. What is measured is kept in
FOLDER, a file a variant; the same command goes on after a stop.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cases import SIDE, Case, embedded_cases, folder_cases
from classifier import probabilities
from jstyleid_core import StableDiffusion, StyleID, StyleIDSettings, runtime
from jstyleid_core.files import atomic_path
from jstyleid_core.image_files import save_png
from jstyleid_core.styleid.drawing import Prompts, StyledDrawing
from jstyleid_core.synthetic.objects import KINDS
from jstyleid_core.weights.checkpoint import EMBEDDED_MODEL
from likeness import colour_likeness, structure_likeness, texture_distance
from page import folder_name, write_page
from variants import DRAWN, GIVEN, Variant

GUIDANCE = 5.0


def draw(model: StableDiffusion, case: Case, steps: int, side: int) -> list[Image.Image]:
    """The contents that the model draws of the kinds."""
    return model.generate([kind.capitalize() for kind in case.kinds], range(len(case.kinds)),
                          steps=steps, guidance_scale=GUIDANCE, size=(side, side))


def stylise(model: StableDiffusion, case: Case, variant: Variant, side: int) -> dict[str, Any]:
    """A variant's pictures of a case, with evaluations and seconds of styles and of contents."""
    settings = StyleIDSettings.create(**variant.settings)
    styleid = StyleID(model, settings)
    before, start = model.evaluations, time.monotonic()
    styles = [styleid.invert_style(image) for image in case.references[: variant.references]]
    inverted, middle = model.evaluations, time.monotonic()
    prompts = Prompts([kind.capitalize() for kind in case.kinds], range(len(case.kinds)), GUIDANCE,
                      size=(side, side))
    drawing = StyledDrawing(styleid)
    contents: Sequence[Image.Image] = case.contents
    if variant.way == "direct":
        pictures = drawing.draw(prompts, styles)
    elif variant.way == "trajectory":
        pictures = drawing.transfer(drawing.record(prompts), styles)
    else:
        contents = draw(model, case, settings.steps, side) if variant.drawn else case.contents
        pictures = styleid.transfer(contents, styles)
    evaluations, end = model.evaluations, time.monotonic()
    if variant.drawn and variant.way != "transfer":
        contents = draw(model, case, settings.steps, side)
    return {"pictures": pictures, "contents": contents,
            "style_evaluations": inverted - before, "evaluations": evaluations - inverted,
            "style_seconds": middle - start, "seconds": end - middle}


def figures(
    pictures: Sequence[Image.Image], contents: Sequence[Image.Image], case: Case
) -> list[dict[str, float]]:
    """Of each picture: colour and texture against other pictures of the style, and the rest."""
    seen = probabilities(pictures) if case.kinds else None
    found = []
    for number, (picture, content) in enumerate(zip(pictures, contents, strict=True)):
        one = {
            "colour": float(np.mean([colour_likeness(picture, other) for other in case.others])),
            "texture": float(np.mean([texture_distance(picture, other) for other in case.others])),
            "structure": structure_likeness(picture, content),
        }
        if seen is not None:
            one["recognised"] = float(seen[number, list(KINDS).index(case.kinds[number])])
        found.append(one)
    return found


def measure(
    model: StableDiffusion, cases: Sequence[Case], variant: Variant, folder: Path, side: int
) -> dict[str, float]:
    """Means over all pictures of a variant; the pictures go to the folder."""
    rows: list[dict[str, float]] = []
    sums: dict[str, float] = {}
    for case in cases:
        made = stylise(model, case, variant, side)
        pictures = made.pop("pictures")
        rows += figures(pictures, made.pop("contents"), case)
        for name, value in made.items():
            sums[name] = sums.get(name, 0) + value
        for number, picture in enumerate(pictures):
            save_png(picture, folder / f"{case.name}-{number}.png")
    per_style = {"style_evaluations", "style_seconds"}
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} | {
        name: value / len(cases if name in per_style else rows) for name, value in sums.items()}


def main() -> None:
    """Measure what is not measured yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for what is measured")
    parser.add_argument("--page", type=Path, help="Markdown page to write; its pictures go beside")
    parser.add_argument("--model", default=EMBEDDED_MODEL)
    parser.add_argument("--size", type=int, default=SIDE)
    parser.add_argument("--contents", type=Path, help="folder of contents; needed with --model")
    parser.add_argument("--styles", type=Path, help="folder of styles; needed with --model")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    options = parser.parse_args()
    given = options.contents is not None and options.styles is not None
    if options.model != EMBEDDED_MODEL and not given:
        parser.error("--model needs --contents and --styles")
    runtime.start(options.device)
    model = StableDiffusion.load(options.model)
    size = (options.size, options.size)
    cases = folder_cases(options.contents, options.styles, size) if given else embedded_cases()
    variants: Mapping[str, Variant] = GIVEN if given else {**GIVEN, **DRAWN}
    # What other weights have given is kept apart.
    work = options.work / f"{Path(options.model).name}-{options.size}"
    rows = {}
    for name, variant in variants.items():
        if variant.references > len(cases[0].references):
            continue
        folder = work / folder_name(name)
        file = folder / "measured.json"
        if not file.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            measured = measure(model, cases, variant, folder, options.size)
            with atomic_path(file) as path:
                path.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
        rows[name] = json.loads(file.read_text(encoding="utf-8"))
        print(name, json.dumps({key: round(value, 3) for key, value in rows[name].items()}),
              flush=True)
    if options.page:
        write_page(options.page, rows, cases, work)


if __name__ == "__main__":
    main()
