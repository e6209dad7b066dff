"""The progress bar of a check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jdiff_checker.checking import OnProgress


@contextmanager
def shown_progress() -> Iterator[OnProgress]:
    """Show a bar on stderr during the block; stdout is for the tables alone."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Starting", total=None)

        def update(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total or None)

        yield update
