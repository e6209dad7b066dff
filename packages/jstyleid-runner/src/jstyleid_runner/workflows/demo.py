"""The demo: the three methods of a run, on the embedded model and styles drawn by programme."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from jstyleid_core import StyleIDSettings
from jstyleid_core.drawn_world.demo_split import SIZE, draw_split
from jstyleid_core.images import open_image, save_png
from jstyleid_core.weights.layout import EMBEDDED_MODEL
from jstyleid_runner.options.to_settings import training_settings
from jstyleid_runner.reports.contact_sheet import Cell, contact_sheet
from jstyleid_runner.settings import Method, PictureChoices
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.split import StyleFolder, read_split
from jstyleid_runner.workflows.run import Execution, make_pictures
from jstyleid_runner.workflows.workers import WorkerOptions

SPLIT = "demo"
METHODS: tuple[Method, ...] = get_args(Method)
_BATCH = 5
"""All prompts of a style together: with a model this small a step costs little more for it."""
_SHOWN = 2
"""Prompts of a style on the sheet of all methods."""


def run_demo(out: Path, train_steps: int, where: WorkerOptions) -> None:
    """Draw the split, make the pictures of each method, and a sheet of them all.

    Raises:
        JStyleIDError: the folder holds something else, or something failed.
    """
    data = out / "data"
    draw_split(data / SPLIT)
    # The one that trains comes first; the others draw with the same LoRAs, or with none.
    trained = out / "styleid-dreambooth"
    loras = OutFolder(trained).lora("00").parent
    for method in sorted(METHODS, key=lambda method: method != trained.name):
        chosen = _choices(method, data, train_steps, None if method == trained.name else loras)
        print(f"\n{method}", flush=True)
        make_pictures(
            chosen, Execution(out / method, _BATCH, False, EMBEDDED_MODEL, "float32", where)
        )
    styles = read_split(data, SPLIT).styles
    sheet = out / "demo.png"
    save_png(contact_sheet(*_side_by_side(out, styles)), sheet)
    print(f"\nall methods side by side: {sheet}")


def _choices(method: Method, data: Path, train_steps: int, loras: Path | None) -> PictureChoices:
    size = (SIZE, SIZE)
    trains = method == "styleid-dreambooth"
    # A model this small learns more from larger steps than Stable Diffusion does.
    given = {"steps": train_steps, "size": size, "seed": 0, "rank": 8, "learning_rate": 2e-3}
    return PictureChoices(
        split=SPLIT,
        data=data,
        styles=None,
        prompts=None,
        method=method,
        lora=None if method == "styleid" else loras,
        seed=0,
        size=size,
        content_steps=25,
        guidance=5.0,
        negative="",
        template=None,
        templates=None,
        start="noise",
        strength=1.0,
        training=training_settings("baseline", given) if trains else None,
        # The paper's 50 steps: this model's inversion loses more in 20 than Stable Diffusion's.
        styleid=None if method == "dreambooth" else StyleIDSettings(steps=50),
        reference=None if method == "dreambooth" else "first",
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
