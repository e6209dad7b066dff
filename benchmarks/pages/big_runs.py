"""Make two runs of the challenge's size without a model: 28 styles x 100 prompts at 512 pixels.

`python big_runs.py FOLDER` writes `FOLDER/data`, `FOLDER/a` and `FOLDER/b`, about 3 GB. The runs
have the same contents and other results, as two runs with another gamma have.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from jstyleid_runner.planning.plan import Plan, build_plan
from jstyleid_runner.scheduling.ledger import Ledger
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.records import ModelRecord, RunRecord
from jstyleid_runner.storage.split import read_split

STYLES, PROMPTS, REFERENCES, SIDE = 28, 100, 10, 512
GAMMAS = {"a": 0.75, "b": 0.3}


def paint(path: Path, seed: int) -> None:
    """A picture with coarse and fine structure and a little grain, other for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    picture = np.zeros((SIDE, SIDE, 3), np.float32)
    for cells, strength in ((4, 0.6), (24, 0.3), (128, 0.1)):
        small = Image.fromarray(random.integers(0, 256, (cells, cells, 3), np.uint8))
        picture += strength * np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    picture += random.standard_normal((SIDE, SIDE, 1), np.float32) * 2
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path, compress_level=1)


def write_data(folder: Path) -> None:
    """The split `S`."""
    for style in range(STYLES):
        place = folder / "S" / f"{style:02}"
        for number in range(REFERENCES):
            paint(place / "images" / f"reference {number}.png", 1_000_000 + 100 * style + number)
        prompts = {str(number): f"Prompt {number:02} of {style}" for number in range(PROMPTS)}
        (place / "prompt.json").write_text(json.dumps(prompts))


def plan_of(folder: Path, name: str) -> tuple[Plan, RunSettings]:
    """The plan of run `a` or `b`."""
    settings = RunSettings.create(split="S", method="styleid", reference="first",
                                  styleid={"gamma": GAMMAS[name]})
    return build_plan(read_split(folder / "data", "S", None), settings), settings


def write_run(folder: Path, name: str) -> None:
    """Pictures, record and ledger of a run."""
    plan, settings = plan_of(folder, name)
    out = OutFolder(folder / name)
    out.prepare()
    pictures = [image for style in plan.styles for image in style.images]
    for number, image in enumerate(pictures):
        paint(out.picture(image.style, image.prompt),
              number + 100_000 * (1 + list(GAMMAS).index(name)))
        content = out.content(image.style, image.prompt)
        if name == "a":
            paint(content, number)
        else:
            content.parent.mkdir(parents=True, exist_ok=True)
            os.link(OutFolder(folder / "a").content(image.style, image.prompt), content)
    with Ledger(out.ledger) as ledger:
        ledger.plan([job.task for style in plan.styles for job in style.jobs])
        ledger.found({job.id: None for style in plan.styles for job in style.jobs})
    RunRecord(settings=settings.model_dump(mode="json"), references={}, versions={},
              model=ModelRecord(source="none", stamp=None, fingerprint="none")).write(out.record)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    write_data(folder / "data")
    for name in GAMMAS:
        write_run(folder, name)
