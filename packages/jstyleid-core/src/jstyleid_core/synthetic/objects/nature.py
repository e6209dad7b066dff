"""Plants, sky and land."""

import numpy as np
from numpy.random import Generator

from jstyleid_core.synthetic.shapes import (
    Drawing,
    blob,
    box,
    curve,
    ellipse,
    line,
    polygon,
)
from jstyleid_core.synthetic.shapes import (
    star as star_shape,
)


def cloud(rng: Generator) -> Drawing:
    drops = rng.uniform(0.3, 0.42, 3)
    drawing = [
        ellipse(-0.5, 0.1, drops[0], drops[0]),
        ellipse(-0.05, -0.18, drops[1] + 0.1, drops[1] + 0.08),
        ellipse(0.48, 0.05, drops[2] + 0.03, drops[2]),
        box(-0.8, 0.1, 0.8, 0.45, round=0.17),
    ]
    if rng.random() < 0.4:
        drawing += [line((x, 0.6), (x - 0.1, 0.9), width=0.07, tone="second")
                    for x in (-0.45, 0.02, 0.5)]
    return drawing


def flower(rng: Generator) -> Drawing:
    petals, reach = int(rng.integers(5, 8)), rng.uniform(0.3, 0.38)
    size = rng.uniform(0.17, 0.23)
    centre = (0.0, -0.4)
    angles = np.linspace(0, 360, petals, endpoint=False) + rng.uniform(0, 40)
    bend = rng.uniform(-0.15, 0.15)
    side = rng.choice([-1, 1])
    return [
        curve(centre, (bend, 0.3), (0, 1.0), width=0.1, tone="dark"),
        ellipse(side * 0.28, 0.5, 0.3, 0.12, "dark", turn=-25 * side),
        *(ellipse(centre[0] + reach * np.cos(np.radians(a)),
                  centre[1] + reach * np.sin(np.radians(a)), size * 1.25, size, turn=a)
          for a in angles),
        ellipse(*centre, 0.2, 0.2, "second"),
    ]


def leaf(rng: Generator) -> Drawing:
    wide = rng.uniform(0.4, 0.58)
    body = blob((0, -0.98), (wide * 0.75, -0.5), (wide, 0.05), (wide * 0.6, 0.5), (0, 0.7),
                (-wide * 0.6, 0.5), (-wide, 0.05), (-wide * 0.75, -0.5))
    veins = [line((0, y), (side * wide * 0.62, y - 0.25), width=0.045)
             for y in (-0.25, 0.08, 0.4) for side in (-1, 1)]
    return [body, line((0, -0.8), (0, 1.0), width=0.07), *veins]


def moon(rng: Generator) -> Drawing:
    """A crescent."""
    thick = rng.uniform(0.45, 0.7)
    horn = np.cos(np.radians(50))
    outer = np.radians(np.linspace(50, 310, 40))
    outside = np.stack([np.cos(outer), np.sin(outer)], axis=1)
    inside = np.stack([horn + (np.cos(outer) - horn) * (1 - thick), np.sin(outer)], axis=1)[::-1]
    crescent = polygon(*(0.9 * outside + (0.2, 0)), *(0.9 * inside + (0.2, 0)))
    drawing = [crescent]
    if rng.random() < 0.5:
        drawing.append(star_shape(0.55, -0.1, 0.2, 0.09, 5, "second"))
    return drawing


def mountain(rng: Generator) -> Drawing:
    peak, other = rng.uniform(-0.35, 0.0), rng.uniform(0.4, 0.6)
    high, low = rng.uniform(0.75, 0.95), rng.uniform(0.1, 0.35)
    snow = 0.38
    left = peak + (-1 - peak) * snow * 0.95
    right = peak + (0.55 - peak) * snow * 0.95
    base = 0.75
    y = -high + (base + high) * snow * 0.95
    return [
        polygon((0.05, base), (other, -low), (1.0, base), tone="second"),
        polygon((-1.0, base), (peak, -high), (0.6, base)),
        polygon((left, y), (peak, -high), (right, y), (peak + 0.18, y - 0.1),
                (peak + 0.05, y + 0.1), (peak - 0.12, y - 0.08), tone="light"),
    ]


def star(rng: Generator) -> Drawing:
    inner = rng.uniform(0.38, 0.5)
    drawing = [star_shape(0, 0, 0.98, 0.98 * inner, 5)]
    if rng.random() < 0.4:
        drawing.append(star_shape(0, 0, 0.5, 0.5 * inner, 5, "second"))
    return drawing


def sun(rng: Generator) -> Drawing:
    rays, inner = int(rng.integers(8, 13)), rng.uniform(0.42, 0.52)
    turn = rng.uniform(0, 1)
    angles = (np.arange(rays) + turn) * 2 * np.pi / rays
    drawing: Drawing = [
        polygon((np.cos(a - 0.14) * (inner + 0.08), np.sin(a - 0.14) * (inner + 0.08)),
                (np.cos(a) * 0.98, np.sin(a) * 0.98),
                (np.cos(a + 0.14) * (inner + 0.08), np.sin(a + 0.14) * (inner + 0.08)),
                tone="second")
        for a in angles
    ]
    drawing.append(ellipse(0, 0, inner, inner))
    if rng.random() < 0.35:
        drawing += [ellipse(-0.17, -0.1, 0.06, 0.08, "dark"),
                    ellipse(0.17, -0.1, 0.06, 0.08, "dark"),
                    curve((-0.2, 0.14), (0, 0.25), (0.2, 0.14), width=0.06)]
    return drawing


def tree(rng: Generator) -> Drawing:
    """A tree with a round crown, or a fir."""
    trunk = rng.uniform(0.09, 0.15)
    if rng.random() < 0.5:
        crown = [ellipse(-0.32, -0.15, 0.4, 0.36), ellipse(0.32, -0.15, 0.4, 0.36),
                 ellipse(0, -0.5, 0.46, 0.45)]
        fruits = [ellipse(x, y, 0.07, 0.07, "second")
                  for x, y in ((-0.3, -0.2), (0.1, -0.55), (0.35, -0.1), (0, -0.15))]
        top = crown + (fruits if rng.random() < 0.5 else [])
    else:
        wide = rng.uniform(0.55, 0.75)
        top = [polygon((-wide * k, y + 0.55), (0, y), (wide * k, y + 0.55))
               for k, y in ((1.0, -0.1), (0.8, -0.5), (0.58, -0.95))]
    return [box(-trunk, 0.1, trunk, 1.0, "dark"), *top]
