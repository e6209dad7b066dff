"""Things to eat."""

from numpy.random import Generator

from jstyleid_core.synthetic.shapes import (
    Drawing,
    blob,
    curve,
    ellipse,
    line,
)


def apple(rng: Generator) -> Drawing:
    wide, high = rng.uniform(0.72, 0.9), rng.uniform(0.7, 0.85)
    dent, lean = rng.uniform(0.08, 0.2), rng.uniform(-0.2, 0.2)
    body = blob(
        (0, -high * 0.75 + dent), (wide * 0.5, -high * 0.85), (wide, -high * 0.2),
        (wide * 0.75, high * 0.65), (wide * 0.3, high), (0, high * 0.9), (-wide * 0.3, high),
        (-wide * 0.75, high * 0.65), (-wide, -high * 0.2), (-wide * 0.5, -high * 0.85),
    )
    stem = curve((0, -high * 0.6), (lean * 0.5, -high * 0.9), (lean, -1.0), width=0.09)
    drawing = [body, stem]
    if rng.random() < 0.8:
        side = rng.choice([-1, 1])
        drawing.append(ellipse(side * 0.3, -0.85, 0.27, 0.12, "second", turn=-25 * side))
    if rng.random() < 0.5:
        drawing.append(ellipse(-wide * 0.45, -high * 0.25, 0.1, 0.2, "light", turn=20))
    return drawing


def banana(rng: Generator) -> Drawing:
    thick = rng.uniform(0.36, 0.54)
    bow = rng.uniform(0.5, 0.75)
    body = blob(
        (-0.95, -0.45), (-0.7, bow * 0.45), (-0.1, bow), (0.6, bow * 0.6), (0.95, -0.3),
        (0.8, -0.38), (0.45, bow * 0.6 - thick * 0.75), (-0.1, bow - thick * 1.25),
        (-0.55, bow * 0.2 - thick * 0.6), (-0.8, -0.55),
    )
    tips = [line((-0.88, -0.5), (-0.9, -0.68), width=0.14),
            ellipse(0.88, -0.34, 0.08, 0.08, "dark")]
    rib = curve((-0.75, -0.25), (-0.2, bow - thick * 0.6), (0.6, bow * 0.35), width=0.04,
                tone="second")
    return [body, rib, *tips]


def carrot(rng: Generator) -> Drawing:
    wide, tip = rng.uniform(0.3, 0.42), rng.uniform(-0.12, 0.12)
    root = blob(
        (-wide, -0.35), (-wide * 0.5, -0.5), (wide * 0.5, -0.5), (wide, -0.35),
        (wide * 0.6, 0.3), (tip + 0.03, 0.98), (tip - 0.03, 0.98), (-wide * 0.6, 0.3),
    )
    leaves = [
        curve((0, -0.45), (at * 0.6, -0.75), (at, -1.0), width=0.13, tone="second")
        for at in (-0.4, -0.18, 0.05, 0.28, 0.45)
    ]
    rings = [
        line((-wide * side, y), (-wide * side + wide * 0.7 * side, y + 0.03), width=0.04)
        for y, side in ((-0.15, 0.85), (0.12, -0.65), (0.38, 0.45))
    ]
    return [*leaves, root, *rings]


def cherry(rng: Generator) -> Drawing:
    left, right = rng.uniform(0.36, 0.44), rng.uniform(0.32, 0.42)
    top = (rng.uniform(0.05, 0.35), -0.92)
    ly, ry = rng.uniform(0.35, 0.55), rng.uniform(0.2, 0.5)
    drawing = [
        curve(top, (-0.2, -0.35), (-0.48, ly - left * 0.8), width=0.07),
        curve(top, (0.35, -0.35), (0.48, ry - right * 0.8), width=0.07),
        ellipse(-0.48, ly, left, left),
        ellipse(0.5, ry, right, right),
        ellipse(top[0] + 0.3, top[1] + 0.06, 0.32, 0.14, "second", turn=12),
    ]
    if rng.random() < 0.6:
        drawing += [
            ellipse(-0.6, ly - 0.12, 0.08, 0.11, "light", turn=30),
            ellipse(0.4, ry - 0.1, 0.07, 0.1, "light", turn=30),
        ]
    return drawing
