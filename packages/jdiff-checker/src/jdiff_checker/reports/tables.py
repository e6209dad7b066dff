"""Prints a result as tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from jdiff_checker.reports.formatting import DASH, arrow, format_value, printable
from jdiff_checker.result import CheckResult, Components, Problem, ScoringResult
from jdiff_checker.scoring import ALL_METRICS, Metric, Scoring

if TYPE_CHECKING:
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

_FID_FOOTNOTE = (
    "* A style's own FID compares its few images alone: it says something only beside other "
    "styles' values."
)
_SUMMARY_FOOTNOTE = (
    "The official checker's own printed summary shows the histogram score under clip_iqa_score "
    "(quirk 6); the CLIP-IQA here is the one its final score uses."
)


def print_problems(console: Console, problems: Sequence[Problem]) -> None:
    """Print the problems of an upload, grouped by kind; without problems print nothing.

    Problems that stop a strict check come first, then those that are only worth knowing.
    """
    stopping = [problem for problem in problems if problem.stops]
    notes = [problem for problem in problems if not problem.stops]
    for title, style, group in (("Stops a strict check", "bold red", stopping),
                                ("Worth knowing", "bold yellow", notes)):
        if group:
            console.print(_text(f"{title} ({len(group)})", style))
            _print_kinds(console, group)


def print_result(console: Console, result: CheckResult) -> None:
    """Print a result; the last line is the final score."""
    warning = result.unpublished_weights
    if warning:
        console.print(_weights_panel(warning))
    console.print(_styles_table(result))
    console.print(_text(_FID_FOOTNOTE, "dim"))
    if result.scoring is Scoring.OFFICIAL:
        console.print(_text(_SUMMARY_FOOTNOTE, "dim"))
    console.print()
    console.print(_scorings_table(result))
    for name, scored in _both(result):
        if scored is None:
            console.print(_text(f"{name}: no scores, the split has none of its styles.", "yellow"))
        elif scored.final_score is None:
            console.print(_text(f"{name}: no final score: {_reason(scored)}", "yellow"))
    console.print()
    _print_list(console, f"The {result.scoring} scoring", result.chosen.notes, "dim")
    _print_list(console, "Scored in spite of", result.chosen.incomplete, "yellow")
    console.print(_text(f"CLIP-R's {len(result.prompts)} prompts come from {result.prompts_from}."))
    console.print(_text(f"Scored on {result.device} in {result.seconds:.1f} s."))
    if warning:
        console.print(_weights_panel(warning))
    console.print(_final_line(result))


def _styles_table(result: CheckResult) -> Table:
    from rich import box
    from rich.table import Table

    scored = result.chosen
    rows = [(style.style, len(style.images), style.means[scored.scoring])
            for style in result.styles if scored.scoring in style.means]
    table = Table(title=_text(f"{printable(result.upload)}, {scored.scoring} scoring", "bold"),
                  box=box.SIMPLE, title_justify="left", show_footer=True,
                  pad_edge=False, collapse_padding=True)
    table.add_column("style", min_width=7, footer=_text("overall", "bold"))
    table.add_column("images", justify="right", footer=_text(str(scored.images), "bold"))
    for metric in ALL_METRICS:
        star = "*" if metric is Metric.FID else ""
        overall = format_value(getattr(scored.components, metric.field), metric)
        table.add_column(f"{metric.label}{star} {arrow(metric)}", justify="right", no_wrap=True,
                         footer=_text(overall, "bold"))
    extremes = {metric: _best_and_worst(metric, [means for _, _, means in rows])
                for metric in ALL_METRICS}
    for name, images, means in rows:
        cells = [_cell(getattr(means, metric.field), metric, extremes[metric])
                 for metric in ALL_METRICS]
        table.add_row(_text(name), str(images), *cells)
    return table


def _best_and_worst(metric: Metric, means: Iterable[Components]) -> tuple[float, float] | None:
    """The best and the worst value; None if all values are equal."""
    values = [value for mean in means if (value := getattr(mean, metric.field)) is not None]
    if len(values) < 2 or min(values) == max(values):
        return None
    if metric.higher_is_better:
        return max(values), min(values)
    return min(values), max(values)


def _cell(value: float | None, metric: Metric, extremes: tuple[float, float] | None) -> Text:
    style = ""
    if extremes is not None and value is not None:
        style = {extremes[0]: "green", extremes[1]: "red"}.get(value, "")
    return _text(format_value(value, metric), style)


def _scorings_table(result: CheckResult) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=_text("Both scorings", "bold"), box=box.SIMPLE, title_justify="left",
                  show_footer=True)
    table.add_column("", footer=_text("final score ↑", "bold"))
    for name, scored in _both(result):
        asked_for = name == result.scoring
        table.add_column(
            f"{name} (asked for)" if asked_for else str(name), justify="right",
            footer=_text(format_value(scored.final_score) if scored else DASH, "bold"),
        )
    columns = [scored for _, scored in _both(result)]
    for metric in ALL_METRICS:
        values = [format_value(getattr(scored.components, metric.field), metric) if scored else DASH
                  for scored in columns]
        table.add_row(f"{metric.label} {arrow(metric)}", *values)
    table.add_row("styles", *(str(len(scored.styles)) if scored else DASH for scored in columns))
    table.add_row("images", *(str(scored.images) if scored else DASH for scored in columns))
    return table


def _both(result: CheckResult) -> tuple[tuple[Scoring, ScoringResult | None], ...]:
    return (Scoring.OFFICIAL, result.official), (Scoring.CORRECTED, result.corrected)


def _final_line(result: CheckResult) -> Text:
    scored = result.chosen
    if scored.final_score is None:
        return _text(f"No final score, {result.scoring} scoring: {_reason(scored)}", "bold red")
    line = _text(f"Final score, {result.scoring} scoring: {format_value(scored.final_score)}",
                 "bold green")
    if result.unpublished_weights:
        line.stylize("bold red")
        line.append(" (unpublished weights: compares to nothing)")
    return line


def _reason(scored: ScoringResult) -> str:
    return scored.no_final_because or "no reason was recorded."


def _weights_panel(files: Sequence[str]) -> Panel:
    from rich.panel import Panel

    return Panel(
        _text(f"unpublished weights: {', '.join(map(printable, files))}. "
              "These numbers compare to nothing.", "bold white on red"),
        border_style="bold red", style="on red",
    )


def _print_kinds(console: Console, problems: Sequence[Problem]) -> None:
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem)
    for kind, group in kinds.items():
        scorings = [scoring for scoring in Scoring if any(scoring in one.stops for one in group)]
        stops = f", {' and '.join(scorings)}" if scorings else ""
        console.print(_text(f"  {kind.replace('-', ' ')} ({len(group)}{stops})", "bold"))
        for problem in group:
            console.print(_indented(problem.message))


def _print_list(console: Console, title: str, lines: Sequence[str], style: str) -> None:
    if lines:
        console.print(_text(title, "bold"))
        for line in lines:
            console.print(_indented(line, style))


def _indented(line: str, style: str = "") -> Table:
    """A line that keeps its indent when it is wrapped."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=3, justify="right")
    grid.add_column()
    grid.add_row(_text("-", style), _text(line, style))
    return grid


def _text(content: str, style: str = "") -> Text:
    # As Text, because names may hold brackets, which Rich would take for markup.
    from rich.text import Text

    return Text(printable(content), style, overflow="fold")
