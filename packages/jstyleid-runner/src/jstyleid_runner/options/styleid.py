"""The options of style transfer, which `transfer` and `run` share."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

_PANEL = "StyleID"

# Equal to the core's `Rule` and `StartLatents`, whose modules `--help` does not load.
RuleName = Literal["styleid", "joint", "gated"]
StartLatentsName = Literal["adain", "content-adain", "efdm", "eae", "frequency", "none"]


@dataclass(frozen=True, kw_only=True)
class StyleIDOptions:
    """The settings of style transfer."""

    steps: Annotated[
        int,
        typer.Option("--steps", help="DDIM steps up and down again.", rich_help_panel=_PANEL),
    ] = 20
    gamma: Annotated[
        list[str] | None,
        typer.Option(
            "--gamma",
            metavar="[[LAYERS] [steps N-M]:]VALUE",
            help="How much of the content's queries is kept, 0 to 1; 0.3 is a strong style. "
            "Repeatable: 10-11:0.5 for some layers, 'steps 0-5:1' for the first six steps. "
            "Default: 0.75.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    temperature: Annotated[
        list[str] | None,
        typer.Option(
            "--temperature",
            metavar="[[LAYERS] [steps N-M]:]VALUE",
            help="Sharpens the attention. Repeatable as --gamma. Default: 1.5.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    layers: Annotated[
        str,
        typer.Option(
            "--layers",
            help="Decoder layers that take the style, 3 to 11, as 7-11 or 7,9,11.",
            rich_help_panel=_PANEL,
        ),
    ] = "7-11"
    injection: Annotated[
        bool,
        typer.Option(
            "--injection/--no-injection",
            help="Let the self-attention look at the style.",
            rich_help_panel=_PANEL,
        ),
    ] = True
    rule: Annotated[
        RuleName,
        typer.Option(
            "--rule",
            help="What the self-attention looks at: the style alone, the style and the picture "
            "itself (joint), or both with a weight for each place (gated).",
            rich_help_panel=_PANEL,
        ),
    ] = "styleid"
    style_factor: Annotated[
        list[str] | None,
        typer.Option(
            "--style-factor",
            metavar="[[LAYERS] [steps N-M]:]VALUE",
            help="Weight of the style in the rules joint and gated. Repeatable as --gamma. "
            "Default: 1.2.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    gate: Annotated[
        float | None,
        typer.Option(
            "--gate",
            help="Largest further weight of the style at a place, in the rule gated. "
            "Default: 2.5.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    moments: Annotated[
        float | None,
        typer.Option(
            "--moments",
            help="How much of the spread of the style's values is added, 0 to 1, in the rules "
            "joint and gated. Default: 0.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    start_latents: Annotated[
        StartLatentsName,
        typer.Option(
            "--start-latents",
            help="What stylising starts from: the content's inverted latents with the style's "
            "mean and spread (adain), with its values in exact order (efdm), ….",
            rich_help_panel=_PANEL,
        ),
    ] = "adain"
    inversion: Annotated[
        str,
        typer.Option(
            "--inversion",
            metavar="ddim|fixed-point:K|noised",
            help="How pictures are inverted: by DDIM, more exactly with K evaluations a step, or "
            "the style not at all but noised.",
            rich_help_panel=_PANEL,
        ),
    ] = "ddim"
    colour_match: Annotated[
        float,
        typer.Option(
            "--colour-match",
            help="How far the colours of the finished picture are brought to the style's, from 0, "
            "not at all, to 1, the same distribution.",
            rich_help_panel=_PANEL,
        ),
    ] = 0.0
