"""Dot plots (SVG) of a result beside published results, one panel for each metric.

Every panel repeats the names of its rows, so panels can be laid out in any number of columns. The
colours come from the style sheet of the page, through the class names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from jdiff_checker.reports.formatting import direction, format_value
from jdiff_checker.result import CheckResult, ScoringResult
from jdiff_checker.scoring import ALL_METRICS, PUBLISHED, Metric, Scoring

_WIDTH = 300
_LEFT, _RIGHT = 8, _WIDTH - 8
_AXIS_END = _RIGHT - 52
"""Right end of the axis; the values are printed right of it."""
_HEAD = 46
_ROW = 32
_GROUP_GAP = 10
"""Gap between the rows of this result and the published rows."""
_AXIS = 30


@dataclass(frozen=True)
class Row:
    """One line of a panel."""

    name: str
    value: float | None
    kind: str
    """`official` or `corrected` for this result's two rows, else `published`."""


def panels(result: CheckResult) -> list[str]:
    """The final score's panel and one for each metric, as SVG elements to put into a page."""
    finals = _rows(result, "final_score", [row.final for row in PUBLISHED])
    drawn = [_panel("Final score", None, finals, result.scoring)]
    for metric in ALL_METRICS:
        published = [getattr(row, metric.field) for row in PUBLISHED]
        drawn.append(_panel(metric.label, metric, _rows(result, metric.field, published),
                            result.scoring))
    return drawn


def _rows(result: CheckResult, field: str, published: Sequence[float]) -> list[Row]:
    def own(scored: ScoringResult | None) -> float | None:
        if scored is None:
            return None
        value = getattr(scored if field == "final_score" else scored.components, field)
        return value if value is not None and math.isfinite(value) else None

    return [
        Row("This result, official", own(result.official), "official"),
        Row("This result, corrected", own(result.corrected), "corrected"),
        *(Row(f"{row.split}: {row.name}", value, "published")
          for row, value in zip(PUBLISHED, published, strict=True)),
    ]


def _panel(title: str, metric: Metric | None, rows: Sequence[Row], chosen: Scoring) -> str:
    height = _HEAD + len(rows) * _ROW + _GROUP_GAP + _AXIS
    spoken = "; ".join(f"{row.name}: {format_value(row.value, metric)}" for row in rows)
    svg = ElementTree.Element("svg", {
        "class": "panel", "viewBox": f"0 0 {_WIDTH} {height}", "role": "img",
        "aria-label": f"{title}, {direction(metric)}. {spoken}",
    })
    _write(svg, title, _LEFT, 18, "panel-title")
    _write(svg, _direction_label(metric), _RIGHT, 18, "direction", "end")
    scale = _Scale([row.value for row in rows if row.value is not None])
    bottom = height - _AXIS + 2
    for tick in scale.ticks:
        _line(svg, scale.x(tick), _HEAD - 14, scale.x(tick), bottom, "tick")
        _write(svg, f"{tick:g}", scale.x(tick), bottom + 15, "tick-label", "middle")
    for row in rows:
        if row.kind == chosen and row.value is not None:
            # Left and right of this line, values are better or worse than this result.
            _line(svg, scale.x(row.value), _HEAD - 14, scale.x(row.value), bottom, "own")
    for index, row in enumerate(rows):
        y = _HEAD + index * _ROW + (_GROUP_GAP if row.kind == "published" else 0)
        group = ElementTree.SubElement(svg, "g", {"class": f"row {row.kind}"})
        _write(group, row.name, _LEFT, y, "row-name")
        _write(group, format_value(row.value, metric), _RIGHT, y + 14, "row-value", "end")
        _line(group, _LEFT, y + 10, _AXIS_END, y + 10, "track")
        if row.value is not None:
            ElementTree.SubElement(group, "circle", {
                "class": "dot", "cx": f"{scale.x(row.value):.1f}", "cy": f"{y + 10}", "r": "4.5",
            })
    return ElementTree.tostring(svg, encoding="unicode")


def _direction_label(metric: Metric | None) -> str:
    if metric is None or metric.higher_is_better:
        return f"{direction(metric)} →"
    return f"← {direction(metric)}"


class _Scale:
    """Scale from values to x, with a margin on both sides, and ticks at round numbers."""

    def __init__(self, values: Sequence[float]) -> None:
        low, high = min(values), max(values)
        room = 0.08 * (high - low) or 0.1 * abs(high) or 0.1
        self._low, self._high = low - room, high + room
        self.ticks = _round_numbers(self._low, self._high)

    def x(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        # A dot at the end of the axis lies on the panel whole.
        return _LEFT + 6 + share * (_AXIS_END - _LEFT - 12)


def _round_numbers(low: float, high: float) -> list[float]:
    """Three to five multiples of 1, 2 or 5 times a power of ten, within the range."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _write(parent: ElementTree.Element, text: str, x: float, y: float, css: str,
           anchor: str = "start") -> None:
    element = ElementTree.SubElement(parent, "text", {
        "class": css, "x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor,
    })
    element.text = text


def _line(parent: ElementTree.Element, x1: float, y1: float, x2: float, y2: float,
          css: str) -> None:
    ElementTree.SubElement(parent, "line", {
        "class": css, "x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}",
    })
