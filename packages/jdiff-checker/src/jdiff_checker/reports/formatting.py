"""How numbers and foreign text are written, the same in the terminal and on the page."""

from __future__ import annotations

import math

from jdiff_checker.scoring import Metric

DASH = "–"
"""Stands for a value that is not there."""


def format_value(value: float | None, metric: Metric | None = None) -> str:
    """`value` with the digits `metric` is given with: FID three, all else four.

    Args:
        value: the number; None is written as an en dash.
        metric: what it measures; None for a score made of several metrics.
    """
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:.{digits(metric)}f}"


def format_change(value: float | None, metric: Metric | None = None) -> str:
    """A difference with its sign; exactly none is written as 0, without decimals."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:+.{digits(metric)}f}" if value else "0"


def digits(metric: Metric | None) -> int:
    """Decimals that say something for `metric`."""
    return 3 if metric is Metric.FID else 4


def direction(metric: Metric | None) -> str:
    """Which way is better, in words."""
    return "lower is better" if metric and not metric.higher_is_better else "higher is better"


def arrow(metric: Metric | None) -> str:
    """Which way is better, as an arrow."""
    return "↓" if metric and not metric.higher_is_better else "↑"


def printable(text: str) -> str:
    """`text` with everything that a terminal would obey or cannot encode written as an escape.

    File names may hold anything: line breaks, escape sequences, bytes that are no text.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
