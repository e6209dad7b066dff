"""Several results in one table, a column each; the best of each line is marked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jdiff_checker.result import CheckResult, ScoringResult
from jdiff_checker.scoring import ALL_METRICS, Metric, Scoring
from jdiff_checker.showing.mismatch import mismatches
from jdiff_checker.showing.values import arrow, plain, written

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def print_side_by_side(console: Console, results: Sequence[CheckResult]) -> None:
    """Print why the results do not compare, if so, and a table for each scoring they all have."""
    from rich.markup import escape

    why_not = {sentence for other in results[1:] for sentence in mismatches(results[0], other)}
    for sentence in sorted(why_not):
        console.print(f"[bold red]These results do not compare:[/] {escape(plain(sentence))}")
    for scoring in Scoring:
        scored = [_scored(result, scoring) for result in results]
        complete = [one for one in scored if one is not None]
        if len(complete) == len(results):
            console.print(_table(scoring, _names(results), complete))


def _scored(result: CheckResult, scoring: Scoring) -> ScoringResult | None:
    return result.official if scoring is Scoring.OFFICIAL else result.corrected


def _names(results: Sequence[CheckResult]) -> list[str]:
    """The folders' names; their whole paths where two have one name."""
    short = [Path(result.upload).resolve().name for result in results]
    return short if len(set(short)) == len(short) else [result.upload for result in results]


def _table(scoring: Scoring, names: Sequence[str], scored: Sequence[ScoringResult]) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{scoring} scoring", box=box.SIMPLE, title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(escape(plain(name)), justify="right", overflow="fold")
    for metric in ALL_METRICS:
        values = [getattr(one.components, metric.field) for one in scored]
        if any(value is not None for value in values):
            table.add_row(f"{metric.label} {arrow(metric)}", *_marked(values, metric))
    finals = [one.final_score for one in scored]
    if any(value is not None for value in finals):
        table.add_row("final score ↑", *_marked(finals, None))
    return table


def _marked(values: Sequence[float | None], metric: Metric | None) -> list[str]:
    there = [value for value in values if value is not None]
    higher = metric is None or metric.higher_is_better
    best = max(there) if higher else min(there)
    return [
        f"[bold green]{written(value, metric)}[/]" if value == best else written(value, metric)
        for value in values
    ]
