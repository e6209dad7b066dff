"""The `jdiff-check` command line. What a command needs is imported when it runs, not before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jdiff_checker import __version__
from jdiff_checker.commands.check import run_check
from jdiff_checker.commands.common import guarded
from jdiff_checker.commands.compare import compare
from jdiff_checker.commands.weights import weights_app
from jdiff_checker.scoring import Scoring

app = typer.Typer(
    name="jdiff-check",
    add_completion=False,
    # Joins the lines of a docstring's paragraph.
    rich_markup_mode="markdown",
    # A crash is reported by `guarded`: a message for the user, the traceback in a file.
    pretty_exceptions_enable=False,
)

_WHAT, _HOW, _WHERE = "What is scored", "How it is computed", "What is written"


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"jdiff-check {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def main_command(
    context: typer.Context,
    upload: Annotated[
        Path | None,
        typer.Option(help="The images to score: NN/Prompt.png.", rich_help_panel=_WHAT),
    ] = None,
    gt: Annotated[
        Path | None,
        typer.Option(help="The split: NN/images/* and NN/prompt.json.", rich_help_panel=_WHAT),
    ] = None,
    styles: Annotated[
        str | None,
        typer.Option(help="Styles to score: 00,04. Default: the scoring's own.",
                     rich_help_panel=_WHAT),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="Some of dino,hist,fid,lpips,clip-iqa,clip-r; a final score needs all.",
                     rich_help_panel=_WHAT),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="CLIP-R's list, one a line. Default: every prompt of the split.",
                     rich_help_panel=_WHAT),
    ] = None,
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing/--strict",
                     help="Score what is there, or refuse an incomplete upload.",
                     rich_help_panel=_WHAT),
    ] = False,
    scoring: Annotated[
        Scoring,
        typer.Option(help="The challenge's numbers, quirks and all, or the corrected ones.",
                     rich_help_panel=_HOW),
    ] = Scoring.OFFICIAL,
    weights: Annotated[
        Path | None,
        typer.Option(help="The weights folder. Default: JDIFF_WEIGHTS, or one in your cache.",
                     rich_help_panel=_HOW),
    ] = None,
    unpublished_weights: Annotated[
        bool,
        typer.Option("--unpublished-weights",
                     help="Accept other weights than the published; the result is marked.",
                     rich_help_panel=_HOW),
    ] = False,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=_HOW)
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Threads that decode images. Default: the CPUs, 8 at most.",
                     rich_help_panel=_HOW),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="File of features from earlier checks. Default: one in your cache.",
                     rich_help_panel=_HOW),
    ] = None,
    no_cache: Annotated[
        bool,
        typer.Option("--no-cache", help="Compute everything anew and keep nothing.",
                     rich_help_panel=_HOW),
    ] = False,
    result: Annotated[
        Path,
        typer.Option(help="Folder for result.json and jdiff-check.log.", rich_help_panel=_WHERE),
    ] = Path(),
    report: Annotated[
        Path | None,
        typer.Option(help="Folder for report.html, a page with contact sheets and charts.",
                     rich_help_panel=_WHERE),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Score style-transfer results as track 2 of the 4th Jittor AI challenge does.

    `jdiff-check --upload out/ --gt data/B` prints a table and writes `result.json`. The weights
    come first, once: `jdiff-check weights fetch`.
    """
    if context.invoked_subcommand is not None:
        return
    guarded(run_check)(
        upload=upload, gt=gt, scoring=scoring, metrics=metrics, styles=styles, prompts=prompts,
        weights=weights, unpublished_weights=unpublished_weights, allow_missing=allow_missing,
        device=device, workers=workers, cache=cache, no_cache=no_cache, result_folder=result,
        report=report,
    )


app.add_typer(weights_app, name="weights")
app.command()(guarded(compare))


def main() -> None:
    """Entry point of the `jdiff-check` script."""
    app()
