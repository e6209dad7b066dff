"""`jdiff-check weights`: downloads, lists and verifies the weights of the metrics."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jdiff_checker.commands.common import guarded, parse_metrics
from jdiff_checker.interrupts import EXIT_STOPPED

if TYPE_CHECKING:
    from rich.table import Table

    from jdiff_checker.weights.folder import FileState, WeightsFolder
    from jdiff_checker.weights.published import WeightsFile

weights_app = typer.Typer(
    name="weights",
    help="Download, list and verify the published weights of the metrics.",
    no_args_is_help=True,
)

Folder = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", show_default=False,
                 help="Folder of the weights. Default: JDIFF_WEIGHTS, else "
                      "~/.cache/jdiff-checker/weights."),
]
Metrics = Annotated[
    str | None,
    typer.Option("--metrics", metavar="A,B", show_default=False,
                 help="Only the weights of these metrics: dino, fid, lpips, clip-iqa, clip-r "
                      "(hist needs none). Default: all."),
]


def fetch_weights(
    folder: Folder = None,
    metrics: Metrics = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite files that are not the published files."),
    ] = False,
) -> None:
    """Download the missing weights; an interrupted download is resumed."""
    place, files = _chosen(folder, metrics)
    fetch_with_progress(place, files, replace=replace)


def list_weights(folder: Folder = None, metrics: Metrics = None) -> None:
    """List the needed weights: origin, size, SHA-256, and whether each file is present."""
    place, files = _chosen(folder, metrics)
    print_states(place, files, afresh=False)


def verify_weights(folder: Folder = None, metrics: Metrics = None) -> None:
    """Read all weights again; exit code 0 if each is the published file, else 2."""
    verify(*_chosen(folder, metrics))


for _name, _command in (
    ("fetch", fetch_weights), ("list", list_weights), ("verify", verify_weights)
):
    weights_app.command(_name)(guarded(_command))


def fetch_with_progress(
    folder: WeightsFolder, files: Sequence[WeightsFile], *, replace: bool = False
) -> None:
    """Download with a progress bar per file; Ctrl-C ends it with exit code 130.

    Raises:
        WeightsError: a file cannot be downloaded, is not the published one, or another file is in
            its place.
        OutputError: the folder cannot be written to, or the disk is too small.
    """
    from jdiff_checker.weights.fetch import fetch
    from jdiff_checker.weights.published import size_text

    def announce(file: WeightsFile) -> None:
        # The bars of the libraries do not name the network.
        print(f"{file.name} ({size_text(file.size)})", file=sys.stderr)

    try:
        new = fetch(folder, files, on_start=announce, replace=replace)
    except KeyboardInterrupt:
        print("stopped; files that are whole are kept, and the same command goes on",
              file=sys.stderr)
        raise typer.Exit(EXIT_STOPPED) from None
    # Not by Rich, which would wrap the path.
    print(f"{len(new)} downloaded, {len(files) - len(new)} already there: {folder.root}")


def verify(folder: WeightsFolder, files: Sequence[WeightsFile]) -> None:
    """Read all files again and show their state.

    Raises:
        WeightsError: files are missing or not the published ones.
    """
    print_states(folder, files, afresh=True)
    metrics = {metric for file in files for metric in file.metrics}
    folder.require(metrics, allow_unpublished=False, published=files)
    print(f"all {len(files)} are the published ones: {folder.root}")


def print_states(
    folder: WeightsFolder, files: Sequence[WeightsFile], *, afresh: bool
) -> None:
    """Print a table of the files and their state; `afresh` reads each file again."""
    from rich.console import Console

    states = []
    with Console(stderr=True).status("") as status:
        for file in files:
            status.update(f"reading {file.path}")
            states.append((file, folder.state(file, afresh=afresh)))
    Console().print(_table(states))
    print(folder.root)


def _table(states: Sequence[tuple[WeightsFile, FileState]]) -> Table:
    from rich import box
    from rich.table import Table

    from jdiff_checker.weights.folder import Presence, short
    from jdiff_checker.weights.published import size_text

    table = Table(box=box.SIMPLE_HEAD)
    # A path that does not fit is folded; a path that is cut could not be copied.
    table.add_column("file, from where", overflow="fold")
    for heading in ("size", "metrics", "sha256", "state"):
        table.add_column(heading, no_wrap=True)
    for file, state in states:
        found = state.presence.value
        if state.presence is Presence.DIFFERENT and state.sha256:
            found += f":\n{short(state.sha256)}"
        table.add_row(f"{file.path}\n[dim]{file.source}[/dim]", size_text(file.size),
                      file.metric_names, short(file.sha256), found)
    return table


def _chosen(
    folder: Path | None, metrics: str | None
) -> tuple[WeightsFolder, tuple[WeightsFile, ...]]:
    from jdiff_checker.weights.folder import WeightsFolder
    from jdiff_checker.weights.published import needed

    return WeightsFolder.locate(folder), needed(parse_metrics(metrics))
