"""Named colours, and how a scene picks some that go together."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Colour = NDArray[np.float64]
"""Red, green and blue from 0 to 1."""

NAMED = {
    "red": (0.82, 0.16, 0.16),
    "orange": (0.95, 0.55, 0.13),
    "yellow": (0.96, 0.84, 0.22),
    "green": (0.24, 0.62, 0.27),
    "blue": (0.17, 0.37, 0.79),
    "purple": (0.51, 0.26, 0.68),
    "pink": (0.95, 0.55, 0.69),
    "brown": (0.50, 0.32, 0.18),
    "white": (0.95, 0.94, 0.91),
    "grey": (0.56, 0.57, 0.59),
    "black": (0.14, 0.14, 0.16),
    "turquoise": (0.25, 0.73, 0.75),
}


def shade(rng: Generator, name: str) -> Colour:
    """One of the many colours a name stands for."""
    return np.clip(np.array(NAMED[name]) + rng.normal(0, 0.035, 3) + rng.normal(0, 0.03), 0, 1)


def contrasting(rng: Generator, *others: str) -> str:
    """A colour's name that is easily told from the others."""
    away = [
        name for name, colour in NAMED.items()
        if all(_distance(colour, NAMED[other]) > 0.45 for other in others)
    ]
    return str(rng.choice(away))


def darker(colour: Colour) -> Colour:
    """Nearly black, with something of the colour."""
    return 0.22 * colour


def lighter(colour: Colour) -> Colour:
    """Nearly white, with something of the colour."""
    return 0.8 + 0.18 * colour


def _distance(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return float(np.linalg.norm(np.subtract(one, other)))
