"""`jstyleid transfer`: one content image in one or several styles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from typing_extensions import Self

from jstyleid_core import StyleIDSettings
from jstyleid_core.contact_sheet import Cell, contact_sheet
from jstyleid_core.errors import InputError
from jstyleid_core.image_files import open_image, save_png
from jstyleid_core.images import fit
from jstyleid_core.weights.checkpoint import CheckpointSource
from jstyleid_runner.planning.provenance import to_png_text
from jstyleid_runner.reports.progress import Display
from jstyleid_runner.storage.layout import (
    CONTACT_SHEET,
    is_folder,
    picture_target,
    picture_targets,
    require_writable,
)

if TYPE_CHECKING:
    from jstyleid_core import StableDiffusion, Style, StyleID


_STYLE_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class StyleInput:
    """A style image, and the path of its result."""

    path: Path
    image: Image.Image
    target: Path


@dataclass(frozen=True)
class TransferJob:
    """A transfer whose input is checked, before Jittor starts."""

    content_path: Path
    content: Image.Image
    styles: tuple[StyleInput, ...]
    sheet: Path | None
    size: tuple[int, int]
    settings: StyleIDSettings
    save_style: Path | None
    load_style: Path | None
    source: CheckpointSource
    recorded: Mapping[str, Any]

    @classmethod
    def create(
        cls,
        *,
        content: Path,
        styles: Sequence[Path],
        out: Path,
        size: tuple[int, int],
        settings: StyleIDSettings,
        save_style: Path | None,
        load_style: Path | None,
        source: CheckpointSource,
        recorded: Mapping[str, Any],
    ) -> Self:
        """Read the pictures and settle what is written where.

        Raises:
            InputError: a picture or a path cannot be used.
        """
        several = len(styles) > 1
        for option, file in (("--save-style", save_style), ("--load-style", load_style)):
            if file is None:
                continue
            if several:
                raise InputError(f"{option} {file}: holds one style. Give one STYLE only.")
            if file.suffix != _STYLE_SUFFIX:
                raise InputError(f"{option} {file}: must be a {_STYLE_SUFFIX} file.")
        if load_style and not load_style.is_file():
            raise InputError(
                f"--load-style {load_style}: no such file. Check the path.",
                fields=["load_style"],
            )
        targets = (
            picture_targets(out, [style.stem for style in styles])
            if several
            else [picture_target(out, f"{content.stem}-{styles[0].stem}")]
        )
        picture = fit(open_image(content), size)
        inputs = tuple(
            StyleInput(style, fit(open_image(style), size), target)
            for style, target in zip(styles, targets, strict=True)
        )
        require_writable(targets[0].parent)
        if save_style:
            require_writable(save_style.parent)
        sheet = picture_target(out, CONTACT_SHEET) if several and is_folder(out) else None
        return cls(
            content, picture, inputs, sheet, size, settings, save_style, load_style, source,
            recorded)


def run_transfer(job: TransferJob, model: "StableDiffusion", display: Display) -> list[Path]:
    """Make the pictures, save each the moment it is there, and return all files written."""
    from jstyleid_core import StyleID

    styleid = StyleID(model, job.settings)
    steps = job.settings.steps
    inversions = 0 if job.load_style else len(job.styles)
    display.begin(len(job.styles), 0, steps * (inversions + 2 * len(job.styles)))
    written: list[Path] = []
    columns: list[list[Cell]] = []
    for given in job.styles:
        style = _take_style(job, given, styleid, model, display)
        display.stage(f"{job.content_path.name} as {given.path.name}", 2 * steps, 2 * steps)
        [picture] = styleid.transfer([job.content], style, on_step=display.step)
        provenance = {
            "kind": "transfer",
            "content": job.content_path.name,
            "style": given.path.name,
            "size": list(job.size),
            "styleid": job.settings.model_dump(mode="json"),
            **job.recorded,
        }
        save_png(picture, given.target, text=to_png_text(provenance, job.source))
        display.finished(given.target)
        written.append(given.target)
        columns.append([Cell(given.path.name, given.image), Cell(given.target.name, picture)])
    if job.sheet:
        save_png(contact_sheet([Cell(job.content_path.name, job.content)], columns), job.sheet)
        written.append(job.sheet)
    return written


def _take_style(
    job: TransferJob, given: StyleInput, styleid: "StyleID", model: "StableDiffusion",
    display: Display,
) -> "Style":
    """The inverted style: loaded, or computed and perhaps kept."""
    from jstyleid_core import Style

    if job.load_style:
        return Style.load(job.load_style, model=model, settings=job.settings, image=given.image)
    steps = job.settings.steps
    display.stage(f"inverting {given.path.name}", steps, steps)
    style = styleid.invert_style(given.image, on_step=display.step)
    if job.save_style:
        style.save(job.save_style)
    return style
