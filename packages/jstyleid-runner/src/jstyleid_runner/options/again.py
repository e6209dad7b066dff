"""The options of `jstyleid again`: those of the commands that make pictures, to change something.

What is not given is as the picture says, so that the defaults here count for nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jstyleid_runner.options.common import ModelOptions, given_path
from jstyleid_runner.options.styleid import StyleIDOptions

_FILES = "Files"
_DRAWING = "Drawing"


@dataclass(frozen=True, kw_only=True)
class _FileOptions:
    """The files that are read and written."""

    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            parser=given_path,
            metavar="<path>",
            help="The picture to write. Default: NAME-again.png in the working directory.",
        ),
    ] = None
    content: Annotated[
        Path | None,
        typer.Option("--content", rich_help_panel=_FILES, help="Where the content picture is."),
    ] = None
    style: Annotated[
        list[Path] | None,
        typer.Option(
            "--style", rich_help_panel=_FILES, help="Where the style's picture is. Repeatable."
        ),
    ] = None
    mask: Annotated[
        Path | None, typer.Option("--mask", rich_help_panel=_FILES, help="Where the mask is.")
    ] = None
    lora: Annotated[
        list[str] | None,
        typer.Option(
            "--lora",
            metavar="FILE[:WEIGHT]",
            rich_help_panel=_FILES,
            help="Where the LoRA is. Repeatable.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class _SettingOptions:
    """The settings of a picture that are not StyleID's."""

    size: Annotated[
        str | None, typer.Option("--size", help="Size in pixels, as 512 or 768x512.")
    ] = None
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Another seed.")] = None
    content_steps: Annotated[
        int | None,
        typer.Option(
            "--content-steps",
            min=1,
            max=1000,
            rich_help_panel=_DRAWING,
            help="DDIM steps of the drawing of a run. Those of `generate` are --steps.",
        ),
    ] = None
    guidance: Annotated[
        float | None,
        typer.Option("--guidance", rich_help_panel=_DRAWING, help="Scale of guidance."),
    ] = None
    negative: Annotated[
        str | None, typer.Option("--negative", rich_help_panel=_DRAWING, help="What to avoid.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class AgainOptions(ModelOptions, StyleIDOptions, _SettingOptions, _FileOptions):
    """All options of the command."""
