"""Prints two results beside each other, or several in one table.

`changes.compare_results` computes the differences of two results.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jdiff_checker.reports.changes import (
    Change,
    Comparison,
    Flip,
    ImageChange,
    mismatches,
)
from jdiff_checker.reports.formatting import DASH, arrow, format_change, format_value, printable
from jdiff_checker.result import CheckResult, ScoringResult
from jdiff_checker.scoring import ALL_METRICS, Metric, Scoring

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_BOTH = ("A", "B", "B - A")
_NAMES_SHOWN = 10
"""Number of listed styles or images that only one result has; the rest is counted."""


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print reasons against the comparison, the styles, the images, and the overall numbers."""
    console.print(_text(f"A  {printable(comparison.names[0])}"))
    console.print(_text(f"B  {printable(comparison.names[1])}"))
    if comparison.identical:
        console.print(_text("Identical: the same images and references, the same scores "
                            "throughout.", "bold green"))
        _print_side_differences(console, comparison)
        return
    if comparison.mismatches:
        _print_warning(console, comparison.mismatches)
    _print_side_differences(console, comparison)
    console.print(_text(f"{comparison.images_in_both} images are in both, "
                        f"{comparison.same_files} of them byte for byte the same."))
    _print_only(console, "Styles", comparison.styles_only)
    _print_only(console, "Images", comparison.images_only)
    console.print()
    if comparison.styles:
        console.print(_styles_table(comparison))
    for metric, changes in comparison.images.items():
        if changes:
            console.print(_images_table(metric, changes))
    if comparison.gained:
        console.print(_flips_table("CLIP-R: missed in A, hit in B", "green", comparison.gained))
    if comparison.lost:
        console.print(_flips_table("CLIP-R: hit in A, missed in B", "red", comparison.lost))
    # Last, where the eye is when the printing ends.
    console.print(_overall_table(comparison))
    console.print(_final_line(comparison))


def _print_warning(console: Console, sentences: Sequence[str]) -> None:
    from rich.panel import Panel

    lines = "\n".join(f"- {printable(sentence)}" for sentence in sentences)
    console.print(Panel(_text(lines, "bold red", as_it_is=True), border_style="bold red",
                        title="These results do not compare", title_align="left"))


def _print_side_differences(console: Console, comparison: Comparison) -> None:
    if comparison.side_differences:
        console.print(_text("Also different: " + "; ".join(comparison.side_differences) + ".",
                            "dim"))


def _print_only(
    console: Console, what: str, only: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    for name, names in zip("AB", only, strict=True):
        if names:
            more = len(names) - _NAMES_SHOWN
            listed = ", ".join(printable(each) for each in names[:_NAMES_SHOWN])
            console.print(_text(f"{what} only in {name} ({len(names)}): {listed}"
                                f"{f' and {more} more' if more > 0 else ''}.", "yellow"))


def _overall_table(comparison: Comparison) -> Table:
    table = _table(f"Overall, {comparison.scoring} scoring", "", _BOTH, [""])
    for change in (*comparison.overall, comparison.final):
        name = change.metric.label if change.metric else "final score"
        table.add_row(
            _text(f"{name} {arrow(change.metric)}"), format_value(change.before, change.metric),
            format_value(change.after, change.metric), _difference(change), _verdict(change),
            style="" if change.metric else "bold",
        )
    return table


def _styles_table(comparison: Comparison) -> Table:
    headings = [f"{metric.label} {arrow(metric)}" for metric in ALL_METRICS]
    table = _table("Styles, B - A, largest change of the style term first", "style",
                   ["style term ↑", *headings])
    for style in comparison.styles:
        table.add_row(_text(style.style), _difference(style.term),
                      *map(_difference, style.metrics))
    table.caption = _text("style term = 0.2 DINO + 0.4 Hist + 0.4 (1 - LPIPS)", "dim")
    return table


def _images_table(metric: Metric, changes: Sequence[ImageChange]) -> Table:
    table = _table(f"{metric.label} {arrow(metric)}: the images that changed most", "image", _BOTH,
                   [""])
    for image in changes:
        change = image.change
        note = _verdict(change)
        if image.same_file:
            note.append(", though the same file", "yellow")
        table.add_row(_text(f"{printable(image.style)}/{printable(image.file)}"),
                      format_value(change.before, metric), format_value(change.after, metric),
                      _difference(change), note)
    return table


def _flips_table(title: str, style: str, flips: Sequence[Flip]) -> Table:
    table = _table(f"{title} ({len(flips)})", "image", (),
                   ["looked for", "likeliest in A", "likeliest in B"], style=style)
    for flip in flips:
        table.add_row(_text(f"{printable(flip.style)}/{printable(flip.file)}"), _text(flip.label),
                      *(_text(guess or DASH) for guess in flip.likeliest))
    return table


def _final_line(comparison: Comparison) -> Text:
    change = comparison.final
    line = _text(f"Final score, {comparison.scoring} scoring: {format_value(change.before)} -> "
                 f"{format_value(change.after)} ", "bold")
    line.append_text(_verdict(change))
    if comparison.mismatches:
        line.append(" (do not compare, see above)", "bold red")
    return line


def _difference(change: Change) -> Text:
    return _text(format_change(change.difference, change.metric), _colour(change))


def _verdict(change: Change) -> Text:
    words = {True: "better", False: "worse"}
    if change.difference is None:
        return _text("")
    return _text(words[change.better] if change.better is not None else "same", _colour(change))


def _colour(change: Change) -> str:
    return {True: "green", False: "red", None: ""}[change.better]


def _table(title: str, names: str, numbers: Sequence[str], words: Sequence[str] = (), *,
           style: str = "") -> Table:
    """A table: a column of names, columns of numbers that are never cut, columns of words."""
    from rich import box
    from rich.table import Table

    table = Table(title=_text(title, f"bold {style}"), box=box.SIMPLE, title_justify="left",
                  caption_justify="left", pad_edge=False, collapse_padding=True)
    table.add_column(names, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in words:
        table.add_column(heading, overflow="fold")
    return table


def _text(content: str, style: str = "", *, as_it_is: bool = False) -> Text:
    from rich.text import Text

    return Text(content if as_it_is else printable(content), style, overflow="fold")


def print_side_by_side(console: Console, results: Sequence[CheckResult]) -> None:
    """Print reasons against the comparison, and a table for each scoring that all results have."""
    from rich.markup import escape

    why_not = {sentence for other in results[1:] for sentence in mismatches(results[0], other)}
    for sentence in sorted(why_not):
        console.print(f"[bold red]These results do not compare:[/] {escape(printable(sentence))}")
    for scoring in Scoring:
        scored = [_scored(result, scoring) for result in results]
        complete = [one for one in scored if one is not None]
        if len(complete) == len(results):
            console.print(_side_by_side_table(scoring, _names(results), complete))


def _scored(result: CheckResult, scoring: Scoring) -> ScoringResult | None:
    return result.official if scoring is Scoring.OFFICIAL else result.corrected


def _names(results: Sequence[CheckResult]) -> list[str]:
    """The names of the folders, or the complete paths if two names are equal."""
    short = [Path(result.upload).resolve().name for result in results]
    return short if len(set(short)) == len(short) else [result.upload for result in results]


def _side_by_side_table(
    scoring: Scoring, names: Sequence[str], scored: Sequence[ScoringResult]
) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{scoring} scoring", box=box.SIMPLE, title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(escape(printable(name)), justify="right", overflow="fold")
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
    texts = [format_value(value, metric) for value in values]
    return [f"[bold green]{text}[/]" if value == best else text
            for value, text in zip(values, texts, strict=True)]
