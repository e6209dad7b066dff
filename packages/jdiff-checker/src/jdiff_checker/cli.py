"""The `jdiff-check` command line. A command imports its heavy libraries when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jdiff_checker import __version__
from jdiff_checker.commands.check import run_check
from jdiff_checker.commands.common import guarded, start
from jdiff_checker.commands.compare import compare
from jdiff_checker.commands.weights import weights_app
from jdiff_checker.scoring import Scoring

app = typer.Typer(
    name="jdiff-check",
    add_completion=False,
    # Joins the lines of a docstring's paragraph.
    rich_markup_mode="markdown",
    # `guarded` reports a crash: a message for the user, and a file with the traceback.
    pretty_exceptions_enable=False,
)

_INPUT, _METHOD, _OUTPUT = "Input", "Method", "Output"


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"jdiff-check {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def main_command(
    context: typer.Context,
    upload: Annotated[
        Path | None,
        typer.Option(help="Folder of the images to score: NN/Prompt.png.", rich_help_panel=_INPUT),
    ] = None,
    gt: Annotated[
        Path | None,
        typer.Option(help="Folder of the split: NN/images/* and NN/prompt.json.",
                     rich_help_panel=_INPUT),
    ] = None,
    styles: Annotated[
        str | None,
        typer.Option(help="Styles to score: 00,04. Default: the scoring's own.",
                     rich_help_panel=_INPUT),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="Some of dino,hist,fid,lpips,clip-iqa,clip-r; a final score needs all.",
                     rich_help_panel=_INPUT),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="CLIP-R's list, one prompt per line. Default: all prompts of the split.",
                     rich_help_panel=_INPUT),
    ] = None,
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing/--strict",
                     help="Score an incomplete upload, or refuse it.",
                     rich_help_panel=_INPUT),
    ] = False,
    scoring: Annotated[
        Scoring,
        typer.Option(help="The numbers of the challenge with its quirks, or corrected numbers.",
                     rich_help_panel=_METHOD),
    ] = Scoring.OFFICIAL,
    weights: Annotated[
        Path | None,
        typer.Option(help="Folder of the weights. Default: JDIFF_WEIGHTS, or one in your cache.",
                     rich_help_panel=_METHOD),
    ] = None,
    unpublished_weights: Annotated[
        bool,
        typer.Option("--unpublished-weights",
                     help="Accept weights that are not the published files; the result is marked.",
                     rich_help_panel=_METHOD),
    ] = False,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=_METHOD)
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Threads that decode images. Default: number of CPUs, at most 8.",
                     rich_help_panel=_METHOD),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="File that keeps features between checks. Default: a file in your cache.",
                     rich_help_panel=_METHOD),
    ] = None,
    no_cache: Annotated[
        bool,
        typer.Option("--no-cache", help="Compute all features again and keep none.",
                     rich_help_panel=_METHOD),
    ] = False,
    result: Annotated[
        Path,
        typer.Option(help="Folder for result.json and jdiff-check.log.", rich_help_panel=_OUTPUT),
    ] = Path(),
    report: Annotated[
        Path | None,
        typer.Option(help="Folder for report.html, a page with contact sheets and charts.",
                     rich_help_panel=_OUTPUT),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Score style-transfer results as track 2 of the 4th Jittor AI challenge does.

    `jdiff-check --upload out/ --gt data/B` prints a table and writes `result.json`. Download the
    weights once before: `jdiff-check weights fetch`.
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
    """Run the command line."""
    start(app)
