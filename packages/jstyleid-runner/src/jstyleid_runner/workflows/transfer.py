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
from jstyleid_core.progress import OnPrediction
from jstyleid_core.styleid.mask import Mask
from jstyleid_core.weights.checkpoint import CheckpointSource
from jstyleid_runner.planning.inputs import Inputs, RecordedFile, RecordedModel
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
    from jstyleid_core.styleid.style_file import Recipe


_STYLE_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class StyleInput:
    """A style: its images by path, and the path of its result."""

    images: Mapping[Path, Image.Image]
    target: Path

    @property
    def name(self) -> str:
        """The names of the images."""
        return ", ".join(path.name for path in self.images)


@dataclass(frozen=True)
class TransferJob:
    """A transfer whose input is checked, before Jittor starts."""

    content_path: Path
    content: Image.Image
    styles: tuple[StyleInput, ...]
    mask_path: Path | None
    mask: Image.Image | None
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
        together: bool,
        mask: Path | None,
        suffix: str = "",
        settings: StyleIDSettings,
        save_style: Path | None,
        load_style: Path | None,
        source: CheckpointSource,
        recorded: Mapping[str, Any],
    ) -> Self:
        """Read the pictures and settle what is written where.

        Args:
            suffix: end of the names of pictures in a folder.

        Raises:
            InputError: a picture or a path cannot be used.
        """
        several = len(styles) > 1 and not together
        for option, file in (("--save-style", save_style), ("--load-style", load_style)):
            if file is None:
                continue
            if len(styles) > 1:
                raise InputError(f"{option} {file}: holds one style. Give one STYLE only.")
            if file.suffix != _STYLE_SUFFIX:
                raise InputError(f"{option} {file}: must be a {_STYLE_SUFFIX} file.")
        if load_style and not load_style.is_file():
            raise InputError(
                f"--load-style {load_style}: no such file. Check the path.",
                fields=["load_style"],
            )
        more = f"+{len(styles) - 1}" if together and styles[1:] else ""
        targets = (
            picture_targets(out, [style.stem + suffix for style in styles])
            if several
            else [picture_target(out, f"{content.stem}-{styles[0].stem}{more}{suffix}")]
        )
        whole = open_image(content)
        limits = _open_mask(mask, content, whole.size, size) if mask else None
        groups = [[style] for style in styles] if several else [list(styles)]
        inputs = tuple(
            StyleInput({path: fit(open_image(path), size) for path in group}, target)
            for group, target in zip(groups, targets, strict=True)
        )
        require_writable(targets[0].parent)
        if save_style:
            require_writable(save_style.parent)
        sheet = picture_target(out, CONTACT_SHEET) if several and is_folder(out) else None
        return cls(
            content, fit(whole, size), inputs, mask, limits, sheet, size, settings, save_style,
            load_style, source, recorded)


def _open_mask(
    path: Path, content: Path, whole: tuple[int, int], size: tuple[int, int]
) -> Image.Image:
    """The mask, scaled and cropped as the content is.

    Raises:
        InputError: it cannot be read, or is of another aspect than the content.
    """
    mask = open_image(path)
    # Rounding of a side by a pixel is no other aspect.
    if abs(mask.width * whole[1] - mask.height * whole[0]) > max(*mask.size, *whole):
        raise InputError(
            f"--mask {path}: {mask.width} x {mask.height} pixels, but {content} has {whole[0]} x "
            f"{whole[1]}. Give a mask of the same aspect.",
            fields=["mask"])
    return fit(mask, size)


def run_transfers(
    jobs: Sequence[TransferJob], model: "StableDiffusion", display: Display,
    on_prediction: OnPrediction | None = None,
) -> list[Path]:
    """Make the pictures, save each the moment it is there, and return all files written.

    A style is inverted once for all jobs whose settings allow it.

    Args:
        jobs: transfers to make.
        model: the loaded model.
        display: display of the progress.
        on_prediction: called after each step of a reversal, see `StyleID.transfer`.
    """
    from jstyleid_core import StyleID

    methods = [StyleID(model, job.settings) for job in jobs]
    inversions = {(method.recipe, path): job.settings.inversion_evaluations
                  for job, method in zip(jobs, methods, strict=True) if not job.load_style
                  for given in job.styles for path in given.images}
    transfers = sum(job.settings.transfer_evaluations * len(job.styles) for job in jobs)
    display.begin(sum(len(job.styles) for job in jobs), 0, transfers + sum(inversions.values()))
    held: dict[tuple[Recipe, Path], Style] = {}
    written: list[Path] = []
    for job, method in zip(jobs, methods, strict=True):
        if any(recipe != method.recipe for recipe, _ in held):
            held.clear()  # before the next ones take as much memory
        written += _run_transfer(job, method, held, display, on_prediction)
    return written


def _run_transfer(
    job: TransferJob, styleid: "StyleID", held: "dict[tuple[Recipe, Path], Style]",
    display: Display, on_prediction: OnPrediction | None,
) -> list[Path]:
    settings = job.settings
    mask = Mask.of(job.mask) if job.mask else None
    written: list[Path] = []
    columns: list[list[Cell]] = []
    for given in job.styles:
        for path, image in given.images.items():
            if (styleid.recipe, path) not in held:
                held[styleid.recipe, path] = _take_style(job, path, image, styleid, display)
        styles = [held[styleid.recipe, path] for path in given.images]
        display.stage(f"{job.content_path.name} as {given.name}", 2 * settings.steps,
                      settings.transfer_evaluations)
        [picture] = styleid.transfer([job.content], styles, on_step=display.step, mask=mask,
                                     on_prediction=on_prediction)
        names = [path.name for path in given.images]
        inputs = Inputs(
            model=RecordedModel.of(job.source, styleid.model.fingerprint),
            content=RecordedFile.of(job.content_path),
            styles=tuple(RecordedFile.of(path) for path in given.images),
            mask=RecordedFile.of(job.mask_path) if job.mask_path else None)
        provenance = {
            "kind": "transfer",
            "content": job.content_path.name,
            **_named(names, job.mask_path),
            "size": list(job.size),
            "styleid": settings.model_dump(mode="json"),
            **job.recorded,
            **inputs.facts(),
        }
        save_png(picture, given.target, text=to_png_text(provenance, job.source))
        display.finished(given.target)
        written.append(given.target)
        heads = [Cell(path.name, image) for path, image in given.images.items()]
        columns.append([*heads, Cell(given.target.name, picture)])
    if job.sheet:
        save_png(contact_sheet([Cell(job.content_path.name, job.content)], columns), job.sheet)
        written.append(job.sheet)
    return written


def write_values_sheet(
    jobs: Sequence[TransferJob], values: Sequence[str], out: Path
) -> Path:
    """One sheet of pictures that differ in the values of options: content and styles at the left.

    Args:
        jobs: transfers that are done, each of one content to the same styles.
        values: what each is labelled with.
        out: folder of the sheet.
    """
    first = jobs[0]
    sheet = picture_target(out, CONTACT_SHEET)
    heads = [Cell(first.content_path.name, first.content)]
    heads += [Cell(path.name, image) for given in first.styles
              for path, image in given.images.items()]
    columns = [[Cell(value, open_image(given.target)) for given in job.styles]
               for job, value in zip(jobs, values, strict=True)]
    save_png(contact_sheet(heads, columns), sheet)
    return sheet


def _named(styles: Sequence[str], mask: Path | None) -> dict[str, Any]:
    """The names of a picture's styles, and of its mask if it has one."""
    named: dict[str, Any] = {"styles": list(styles)} if styles[1:] else {"style": styles[0]}
    return named | {"mask": mask.name} if mask else named


def _take_style(
    job: TransferJob, path: Path, image: Image.Image, styleid: "StyleID", display: Display,
) -> "Style":
    """The inverted style: loaded, or computed and perhaps kept."""
    from jstyleid_core import Style

    if job.load_style:
        return Style.load(job.load_style, model=styleid.model, settings=job.settings, image=image)
    display.stage(f"inverting {path.name}", job.settings.steps, job.settings.inversion_evaluations)
    style = styleid.invert_style(image, on_step=display.step)
    if job.save_style:
        style.save(job.save_style)
    return style
