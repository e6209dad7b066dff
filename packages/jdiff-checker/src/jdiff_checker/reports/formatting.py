"""Formatting of numbers and of foreign text, the same in the terminal and on the page."""

from __future__ import annotations

import math

from jdiff_checker.scoring import Metric

DASH = "–"
"""Text for a missing value."""


def format_value(value: float | None, metric: Metric | None = None) -> str:
    """`value` with the decimals of `metric`: three for FID, four for all others.

    Args:
        value: the number; None becomes an en dash.
        metric: the metric of the number; None for a combination of metrics.
    """
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:.{digits(metric)}f}"


def format_change(value: float | None, metric: Metric | None = None) -> str:
    """A difference with its sign; no difference at all is 0, without decimals."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:+.{digits(metric)}f}" if value else "0"


def digits(metric: Metric | None) -> int:
    """Number of meaningful decimals of `metric`."""
    return 3 if metric is Metric.FID else 4


def direction(metric: Metric | None) -> str:
    """Direction of improvement, in words."""
    return "lower is better" if metric and not metric.higher_is_better else "higher is better"


def arrow(metric: Metric | None) -> str:
    """Direction of improvement, as an arrow."""
    return "↓" if metric and not metric.higher_is_better else "↑"


def printable(text: str) -> str:
    """`text` with an escape for every character that is not printable.

    File names may contain line breaks, control sequences for the terminal, and bytes that are no
    text.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
