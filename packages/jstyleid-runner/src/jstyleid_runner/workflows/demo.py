"""The demo: the three methods of a run, on the embedded model and synthetic styles."""

from collections.abc import Sequence
from pathlib import Path

from jstyleid_core.contact_sheet import Cell, contact_sheet
from jstyleid_core.image_files import open_image, save_png
from jstyleid_core.synthetic.demo_split import SIZE, draw_split
from jstyleid_core.weights.checkpoint import EMBEDDED_MODEL
from jstyleid_runner.choices import Method
from jstyleid_runner.options.common import WorkerOptions
from jstyleid_runner.options.run import RunOptions
from jstyleid_runner.storage.layout import OutFolder, WorkFolder
from jstyleid_runner.storage.links import refuse_links
from jstyleid_runner.storage.split import StyleFolder, read_split
from jstyleid_runner.workflows.run import run

SPLIT = "demo"
METHODS: tuple[Method, ...] = ("dreambooth", "styleid", "styleid-dreambooth")
_BATCH = 5
"""All prompts of a style together: with a model this small a step costs little more for it."""
_SHOWN = 2
"""Prompts of a style on the sheet of all methods."""


def run_demo(out: Path, train_steps: int, where: WorkerOptions) -> None:
    """Draw the split, make the pictures of each method, and a sheet of them all.

    Raises:
        JStyleIDError: the folder holds something else, or something failed.
    """
    # Each run looks at its own folder, but takes that to be what the user has named.
    refuse_links(out, WorkFolder(out).hidden)
    data = out / "data"
    draw_split(data / SPLIT)
    # The one that trains comes first; the others draw with the same LoRAs, or with none.
    trained = out / "styleid-dreambooth"
    loras = OutFolder(trained).lora("00").parent
    for method in sorted(METHODS, key=lambda method: method != trained.name):
        given = None if method == trained.name else loras
        print(f"\n{method}", flush=True)
        run(_options(method, out, train_steps, given, where))
    styles = read_split(data, SPLIT).styles
    sheet = out / "demo.png"
    save_png(contact_sheet(*_side_by_side(out, styles)), sheet)
    print(f"\nall methods side by side: {sheet}")


def _options(
    method: Method, out: Path, train_steps: int, loras: Path | None, where: WorkerOptions
) -> RunOptions:
    return RunOptions(
        split=SPLIT,
        data=out / "data",
        out=out / method,
        method=method,
        size=str(SIZE),
        lora=None if method == "styleid" else loras,
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
    """A style a line: its first sample, and each method's pictures of its first prompts."""
    heads = [Cell(f"style {style.id}", open_image(style.references[0])) for style in styles]
    columns = [
        [
            Cell(f"{method}: {style.prompts[index]}",
                 open_image(OutFolder(out / method).picture(style.id, style.prompts[index])))
            for style in styles
        ]
        for index in range(_SHOWN)
        for method in METHODS
    ]
    return heads, columns
