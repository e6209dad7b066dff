"""Buildings."""

from numpy.random import Generator

from jstyleid_core.synthetic.shapes import (
    Drawing,
    box,
    polygon,
    sector,
)


def castle(rng: Generator) -> Drawing:
    wall, tower = rng.uniform(-0.1, 0.1), rng.uniform(-0.55, -0.3)
    side = rng.uniform(0.2, 0.26)
    roofs = [
        polygon((x - side - 0.06, tower), (x, tower - 0.5), (x + side + 0.06, tower), tone="second")
        for x in (-0.7, 0.7)
    ]
    towers = [box(x - side, tower, x + side, 0.95) for x in (-0.7, 0.7)]
    teeth = [box(x - 0.08, wall - 0.18, x + 0.08, wall + 0.05) for x in (-0.33, 0.0, 0.33)]
    gate = [sector(0, 0.55, 0.22, 0.25, 180, 360, "dark"), box(-0.22, 0.54, 0.22, 0.95, "dark")]
    windows = [box(x - 0.07, tower + 0.25, x + 0.07, tower + 0.5, "dark") for x in (-0.7, 0.7)]
    return [*towers, *roofs, *teeth, box(-0.5, wall, 0.5, 0.95), *gate, *windows]


def house(rng: Generator) -> Drawing:
    wide, eaves = rng.uniform(0.62, 0.8), rng.uniform(-0.2, 0.05)
    door = rng.choice([-0.35, 0.0, 0.35]) * wide
    roof = polygon((-wide - 0.18, eaves), (0, rng.uniform(-0.98, -0.75)), (wide + 0.18, eaves),
                   tone="second")
    drawing: Drawing = []
    if rng.random() < 0.6:
        drawing.append(box(wide * 0.4, -0.85, wide * 0.4 + 0.2, eaves, "dark"))
    drawing += [box(-wide, eaves, wide, 0.9), roof,
                box(door - 0.15, 0.35, door + 0.15, 0.9, "dark")]
    for x in (-0.58 * wide, 0.58 * wide, 0.0):
        if abs(x - door) > 0.34:
            drawing.append(box(x - 0.15, 0.2, x + 0.15, 0.5, "light"))
    return drawing


def lighthouse(rng: Generator) -> Drawing:
    foot, top = rng.uniform(0.3, 0.42), rng.uniform(0.16, 0.22)

    def at(y: float) -> float:
        return top + (foot - top) * (y + 0.45) / 1.4

    stripes = [
        polygon((-at(y), y), (at(y), y), (at(y + 0.28), y + 0.28), (-at(y + 0.28), y + 0.28),
                tone="second")
        for y in (-0.2, 0.36)
    ]
    return [
        polygon((-top, -0.45), (top, -0.45), (foot, 0.95), (-foot, 0.95)), *stripes,
        box(-0.12, -0.75, 0.12, -0.45, "light"),
        box(-top - 0.08, -0.5, top + 0.08, -0.42, "dark"),
        polygon((-0.22, -0.72), (0, -0.98), (0.22, -0.72), tone="second"),
        box(-0.09, 0.68, 0.09, 0.95, "dark"),
    ]
