"""`jdiff-check compare`: what changed between two results, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    a: Annotated[
        Path,
        typer.Argument(metavar="A", show_default=False,
                       help="The result before: a result.json, or the folder it lies in."),
    ],
    b: Annotated[
        Path,
        typer.Argument(metavar="B", show_default=False, help="The result after, likewise."),
    ],
) -> None:
    """Show what changed from result A to result B: overall, by style and by image."""
    from rich.console import Console

    from jdiff_checker.result_file import read_result
    from jdiff_checker.showing.comparison import compare_results, print_comparison

    before, after = (read_result(_result_file(path)) for path in (a, b))
    print_comparison(Console(), compare_results(before, after))


def _result_file(path: Path) -> Path:
    return path / "result.json" if path.is_dir() else path
