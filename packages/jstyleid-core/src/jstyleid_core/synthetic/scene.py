"""Scenes: an object in some pose and some colours before a background, and the words for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from jstyleid_core.synthetic.objects import KINDS
from jstyleid_core.synthetic.shapes import Drawing, Tone

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

Pattern = Literal["plain", "ground", "gradient", "stripes", "dots", "checks"]
PATTERNS: tuple[Pattern, ...] = ("plain", "ground", "gradient", "stripes", "dots", "checks")
_PATTERN_SHARES = (0.46, 0.22, 0.2, 0.04, 0.04, 0.04)


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


@dataclass(frozen=True)
class Background:
    """The background of a scene.

    Attributes:
        colours: main colour, and the colour of pattern or ground.
        measure: the pattern's period, or the horizon's height, as a share of the picture.
        angle: direction of stripes, in radians.
    """

    pattern: Pattern
    colours: tuple[Colour, Colour]
    measure: float
    angle: float


@dataclass(frozen=True)
class Scene:
    """The description of a picture, for renderings.

    Attributes:
        kind: kind of the object, a key of `KINDS`.
        drawing: shapes of the object, in a picture from (0, 0) to (1, 1).
        colours: colours of the shapes.
        names: names of the object's first colour and of the background's.
        outline: width of a line around each shape; 0 for none.
        shading: darkening of the object from top to bottom, from 0 to 1.
    """

    kind: str
    drawing: Drawing
    colours: Mapping[Tone, Colour]
    names: tuple[str, str]
    background: Background
    outline: float
    shading: float


def random_scene(rng: Generator, kind: str | None = None) -> Scene:
    """A scene with an object of `kind`; of any kind without it.

    Raises:
        KeyError: there is no such kind.
    """
    kind = kind or str(rng.choice(list(KINDS)))
    main = contrasting(rng)
    behind = contrasting(rng, main)
    second = contrasting(rng, main)
    first = shade(rng, main)
    return Scene(
        kind,
        _posed(rng, KINDS[kind](rng)),
        {
            "main": first,
            "second": shade(rng, second),
            "dark": darker(first),
            "light": lighter(first),
        },
        (main, behind),
        _background(rng, behind),
        outline=float(rng.choice([0.0, rng.uniform(0.008, 0.014)])),
        shading=float(rng.choice([0.0, rng.uniform(0.1, 0.4)])),
    )


def recoloured(
    scene: Scene, tones: Mapping[Tone, Colour], ground: tuple[Colour, Colour]
) -> Scene:
    """The scene in other colours, and with a horizon in the background."""
    background = replace(scene.background, pattern="ground", colours=ground, measure=0.7)
    return replace(scene, colours=tones, background=background, outline=0.0, shading=0.0)


def _posed(rng: Generator, drawing: Drawing) -> Drawing:
    """The object at some size, turn and place; left and right may be swapped."""
    size = rng.uniform(0.34, 0.45)
    turn = math.radians(rng.normal(0, 7))
    flip = rng.choice([-1.0, 1.0])
    cos, sin = math.cos(turn), math.sin(turn)
    matrix = size * np.array([[cos * flip, -sin], [sin * flip, cos]])
    room = 0.48 - size
    place = 0.5 + rng.uniform(-room, room, 2)
    return [shape.moved(matrix, place.tolist(), size) for shape in drawing]


def _background(rng: Generator, name: str) -> Background:
    pattern = PATTERNS[rng.choice(len(PATTERNS), p=_PATTERN_SHARES)]
    first = shade(rng, name)
    # Near the first, so that the name holds for all of it and the object stands out.
    second = np.clip(first + rng.choice([-1, 1]) * rng.uniform(0.08, 0.16) + rng.normal(0, 0.05, 3),
                     0, 1)
    measure = rng.uniform(0.6, 0.8) if pattern == "ground" else rng.uniform(0.08, 0.2)
    return Background(pattern, (first, second), float(measure), float(rng.uniform(0, math.pi)))
