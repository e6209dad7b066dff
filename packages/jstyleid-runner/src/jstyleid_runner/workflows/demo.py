"""The demo: ways from a prompt to a picture in a style, on the embedded model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jstyleid_core.contact_sheet import Cell, contact_sheet
from jstyleid_core.image_files import open_image, save_png
from jstyleid_core.synthetic.demo_split import SIZE, draw_split
from jstyleid_core.weights.checkpoint import EMBEDDED_MODEL
from jstyleid_runner.options.common import WorkerOptions
from jstyleid_runner.options.run import RunOptions
from jstyleid_runner.storage.layout import OutFolder, WorkFolder
from jstyleid_runner.storage.links import refuse_links
from jstyleid_runner.storage.split import StyleFolder, read_split
from jstyleid_runner.workflows.run import run

SPLIT = "demo"
_TRAINED = "styleid-dreambooth"
WAYS: Mapping[str, Mapping[str, Any]] = {
    "dreambooth": {"method": "dreambooth"},
    "styleid": {"method": "styleid"},
    _TRAINED: {"method": _TRAINED},
    # What the preset `score` adds to it, but for the longer trainings.
    "score": {"method": _TRAINED, "reference": "all", "colour_match": 0.5},
}
"""By folder, the options of a run in which they differ."""
_BATCH = 5
"""All prompts of a style together: with a model this small a step costs little more for it."""
_SHOWN = 2
"""Prompts of a style on the sheet of all methods."""


def run_demo(out: Path, train_steps: int, where: WorkerOptions) -> None:
    """Draw the split, make the pictures of each way, and a sheet of them all.

    Raises:
        JStyleIDError: the folder holds something else, or something failed.
    """
    # Each run looks at its own folder, but takes that to be what the user has named.
    refuse_links(out, WorkFolder(out).hidden)
    data = out / "data"
    draw_split(data / SPLIT)
    # The one that trains comes first; the others draw with the same LoRAs, or with none.
    loras = OutFolder(out / _TRAINED).lora("00").parent
    for way in sorted(WAYS, key=lambda way: way != _TRAINED):
        given = None if way in (_TRAINED, "styleid") else loras
        print(f"\n{way}", flush=True)
        run(_options(way, out, train_steps, given, where))
    styles = read_split(data, SPLIT).styles
    sheet = out / "demo.png"
    save_png(contact_sheet(*_side_by_side(out, styles)), sheet)
    print(f"\nall of them side by side: {sheet}")


def _options(
    way: str, out: Path, train_steps: int, loras: Path | None, where: WorkerOptions
) -> RunOptions:
    return RunOptions(
        **WAYS[way],
        split=SPLIT,
        data=out / "data",
        out=out / way,
        size=str(SIZE),
        lora=loras,
        # A model this small learns more from larger steps than Stable Diffusion does.
        train_steps=train_steps,
        rank=8,
        lr=2e-3,
        guidance=5.0,
        # The paper's 50 steps: this model's inversion loses more in 20 than Stable Diffusion's.
        steps=50,
        batch=_BATCH,
        model=EMBEDDED_MODEL,
        dtype="float32",
        device=where.device,
        gpus=where.gpus,
        workers=where.workers,
    )


def _side_by_side(out: Path, styles: Sequence[StyleFolder]) -> tuple[list[Cell], list[list[Cell]]]:
    """A style a line: its first sample, and each way's pictures of its first prompts."""
    heads = [Cell(f"style {style.id}", open_image(style.references[0])) for style in styles]
    columns = [
        [
            Cell(f"{way}: {style.prompts[index]}",
                 open_image(OutFolder(out / way).picture(style.id, style.prompts[index])))
            for style in styles
        ]
        for index in range(_SHOWN)
        for way in WAYS
    ]
    return heads, columns
