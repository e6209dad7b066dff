"""Shapes of objects, in a square from -1 to 1, with y pointing down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""Corners, (number, 2)."""
Tone = Literal["main", "second", "dark", "light"]
"""Which of an object's colours: the two it is named after, one darker, one lighter than both."""
Pair = Sequence[float]


@dataclass(frozen=True)
class Shape:
    """A filled polygon, or a line.

    Attributes:
        points: corners, (number, 2).
        tone: colour.
        width: width of the line; 0 for a filled polygon.
    """

    points: Points
    tone: Tone = "main"
    width: float = 0.0

    @property
    def outline(self) -> Points:
        """The points in the order of a pen that draws the line, or around the polygon."""
        return self.points if self.width else np.concatenate([self.points, self.points[:1]])

    def moved(self, matrix: NDArray[np.float64], shift: Pair, scale: float) -> Shape:
        """The shape after `matrix`, (2, 2), and a shift; `scale` is the factor of widths."""
        return replace(
            self, points=self.points @ matrix.T + np.asarray(shift), width=self.width * scale
        )


Drawing = list[Shape]
"""An object: its shapes, those behind first."""


def polygon(*corners: Pair, tone: Tone = "main") -> Shape:
    """A polygon with straight sides."""
    return Shape(np.array(corners, dtype=np.float64), tone)


def line(*corners: Pair, width: float = 0.08, tone: Tone = "dark") -> Shape:
    """A line through all corners."""
    return Shape(np.array(corners, dtype=np.float64), tone, width)


def ellipse(
    x: float, y: float, rx: float, ry: float, tone: Tone = "main", turn: float = 0.0
) -> Shape:
    """An ellipse around (x, y), turned clockwise by `turn` degrees."""
    return Shape(_arc_points((x, y), (rx, ry), (0.0, 360.0), turn), tone)


def arc(
    x: float, y: float, rx: float, ry: float, start: float, end: float, width: float = 0.08,
    tone: Tone = "dark",
) -> Shape:
    """A part of an ellipse's line; angles in degrees, clockwise from the right."""
    return Shape(_arc_points((x, y), (rx, ry), (start, end), 0.0), tone, width)


def sector(
    x: float, y: float, rx: float, ry: float, start: float, end: float, tone: Tone = "main"
) -> Shape:
    """The area between an arc and its chord."""
    return Shape(_arc_points((x, y), (rx, ry), (start, end), 0.0), tone)


def box(
    left: float, top: float, right: float, bottom: float, tone: Tone = "main", round: float = 0.0
) -> Shape:
    """A rectangle, its corners rounded by a radius."""
    if not round:
        return polygon((left, top), (right, top), (right, bottom), (left, bottom), tone=tone)
    corners = [
        _arc_points((x, y), (round, round), (start, start + 90.0), 0.0)
        for x, y, start in (
            (right - round, bottom - round, 0.0),
            (left + round, bottom - round, 90.0),
            (left + round, top + round, 180.0),
            (right - round, top + round, 270.0),
        )
    ]
    return Shape(np.concatenate(corners), tone)


def blob(*corners: Pair, tone: Tone = "main") -> Shape:
    """A closed smooth curve (Catmull-Rom) through the corners."""
    return Shape(_smooth(np.array(corners, dtype=np.float64), closed=True), tone)


def curve(*corners: Pair, width: float = 0.08, tone: Tone = "dark") -> Shape:
    """An open smooth line (Catmull-Rom) through the corners."""
    return Shape(_smooth(np.array(corners, dtype=np.float64), closed=False), tone, width)


def star(
    x: float, y: float, outer: float, inner: float, points: int, tone: Tone = "main"
) -> Shape:
    """A star that points up."""
    angles = np.arange(2 * points) * math.pi / points - math.pi / 2
    radii = np.where(np.arange(2 * points) % 2, inner, outer)
    corners = np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1)
    return Shape(corners, tone)


def mirrored(shapes: Sequence[Shape]) -> Drawing:
    """The shapes and their mirror images left and right."""
    flip = np.array([[-1.0, 0.0], [0.0, 1.0]])
    return [copy for shape in shapes for copy in (shape, shape.moved(flip, (0.0, 0.0), 1.0))]


def _arc_points(
    centre: Pair, radii: Pair, angles: tuple[float, float], turn: float
) -> Points:
    start, end = np.radians(angles)
    steps = max(8, int(abs(end - start) / (2 * math.pi) * 48))
    at = np.linspace(start, end, steps)
    x, y = radii[0] * np.cos(at), radii[1] * np.sin(at)
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    return np.stack([centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos], axis=1)


def _smooth(corners: Points, closed: bool, steps: int = 8) -> Points:
    if closed:
        around = np.concatenate([corners[-1:], corners, corners[:2]])
    else:
        around = np.concatenate([corners[:1], corners, corners[-1:]])
    at = (np.arange(steps) / steps)[:, None]
    parts = []
    for before, start, end, after in zip(
        around, around[1:], around[2:], around[3:], strict=False
    ):
        parts.append(
            0.5 * (
                2 * start
                + (end - before) * at
                + (2 * before - 5 * start + 4 * end - after) * at**2
                + (3 * start - before - 3 * end + after) * at**3
            )
        )
    if not closed:
        parts.append(corners[-1:])
    return np.concatenate(parts)
