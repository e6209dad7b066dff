"""`jdiff-check compare`: differences of two results, or several results side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jdiff_checker.errors import InputError


def compare(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="A B ...", show_default=False,
                       help="Results: files result.json, or the folders that hold them."),
    ],
) -> None:
    """Show the differences from result A to result B, or several results side by side.

    For two results, all differences are shown: overall, by style and by image. For more, a table
    has one column for each result.
    """
    from rich.console import Console

    from jdiff_checker.reports.changes import compare_results
    from jdiff_checker.reports.comparison import (
        print_comparison,
        print_side_by_side,
    )
    from jdiff_checker.result import read_result

    if len(results) < 2:
        raise InputError("compare needs two results at least: jdiff-check compare A B")
    read = [read_result(_result_file(path)) for path in results]
    if len(read) == 2:
        print_comparison(Console(), compare_results(*read))
    else:
        print_side_by_side(Console(), read)


def _result_file(path: Path) -> Path:
    return path / "result.json" if path.is_dir() else path
