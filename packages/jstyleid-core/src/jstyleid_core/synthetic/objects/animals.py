"""Animals."""

from numpy.random import Generator

from jstyleid_core.synthetic.shapes import (
    Drawing,
    blob,
    curve,
    ellipse,
    line,
    mirrored,
    polygon,
    sector,
)


def butterfly(rng: Generator) -> Drawing:
    span, tall = rng.uniform(0.8, 0.98), rng.uniform(0.65, 0.85)
    lower = rng.uniform(0.55, 0.75)
    wings = mirrored([
        blob((0.05, 0), (0.35, -tall * 0.8), (span * 0.85, -tall), (span, -tall * 0.5),
             (span * 0.7, -0.02), (0.3, 0.1)),
        blob((0.05, 0.05), (0.35, 0.05), (lower, 0.25), (lower, 0.6), (0.4, 0.8), (0.15, 0.45),
             tone="second"),
        ellipse(span * 0.65, -tall * 0.55, 0.14, 0.18, "light"),
    ])
    body = ellipse(0, 0.08, 0.09, 0.55, "dark")
    feelers = mirrored([curve((0.02, -0.45), (0.1, -0.75), (0.28, -0.92), width=0.05)])
    return [*wings, *feelers, body]


def cat(rng: Generator) -> Drawing:
    """A sitting cat from the front."""
    head, ear = rng.uniform(0.4, 0.48), rng.uniform(0.3, 0.42)
    wide = rng.uniform(0.42, 0.55)
    side = rng.choice([-1, 1])
    tail = curve((side * wide * 0.8, 0.8), (side * 0.85, 0.65), (side * 0.8, 0.2),
                 (side * 0.95, -0.02), width=0.16, tone="main")
    body = blob((0, -0.15), (wide * 0.6, 0.1), (wide, 0.7), (wide * 0.8, 0.98), (0, 1.0),
                (-wide * 0.8, 0.98), (-wide, 0.7), (-wide * 0.6, 0.1))
    belly = ellipse(0, 0.55, wide * 0.45, 0.32, "light")
    ears = mirrored([
        polygon((0.1, -0.7), (head * 0.9, -0.55 - ear), (head * 0.98, -0.4)),
        polygon((0.2, -0.7), (head * 0.82, -0.55 - ear * 0.7), (head * 0.85, -0.5), tone="second"),
    ])
    face = ellipse(0, -0.38, head, head * 0.86)
    eyes = mirrored([ellipse(head * 0.42, -0.44, 0.075, 0.1, "dark")])
    nose = polygon((-0.07, -0.3), (0.07, -0.3), (0, -0.2), tone="second")
    whiskers = mirrored([
        line((0.14, -0.24), (head * 1.25, -0.32), width=0.03),
        line((0.14, -0.19), (head * 1.25, -0.14), width=0.03),
    ])
    return [tail, body, belly, *ears, face, *eyes, nose, *whiskers]


def duck(rng: Generator) -> Drawing:
    """A swimming duck from the side."""
    head, back = rng.uniform(0.28, 0.36), rng.uniform(0.1, 0.3)
    body = blob((-0.95, -0.1 - back), (-0.6, 0.05), (-0.1, -0.02), (0.35, 0.0), (0.62, 0.35),
                (0.35, 0.75), (-0.3, 0.82), (-0.75, 0.55))
    neck = polygon((0.08, 0.2), (0.2, -0.5), (0.6, -0.5), (0.6, 0.35))
    crown = ellipse(0.38, -0.55, head, head)
    beak = blob((0.62, -0.62), (0.98, -0.5), (0.95, -0.4), (0.62, -0.38), tone="second")
    eye = ellipse(0.45, -0.64, 0.06, 0.06, "dark")
    wing = blob((-0.55, 0.2), (0.0, 0.12), (0.22, 0.3), (-0.1, 0.58), (-0.45, 0.52), tone="dark")
    return [neck, body, crown, beak, eye, wing]


def fish(rng: Generator) -> Drawing:
    tall, tail = rng.uniform(0.42, 0.62), rng.uniform(0.35, 0.55)
    body = blob((-0.45, 0), (-0.2, -tall * 0.75), (0.3, -tall), (0.75, -tall * 0.55), (0.98, 0),
                (0.75, tall * 0.55), (0.3, tall), (-0.2, tall * 0.75))
    fin = polygon((-0.35, 0), (-0.98, -tail), (-0.82, 0), (-0.98, tail), tone="second")
    top = polygon((-0.1, -tall * 0.8), (0.1, -tall - 0.25), (0.5, -tall * 0.85), tone="second")
    eye = [ellipse(0.66, -tall * 0.25, 0.11, 0.11, "light"),
           ellipse(0.69, -tall * 0.25, 0.055, 0.055, "dark")]
    gill = curve((0.42, -tall * 0.5), (0.34, 0), (0.42, tall * 0.5), width=0.05)
    drawing = [fin, top, body, *eye, gill]
    if rng.random() < 0.5:
        drawing += [line((x, -tall * 0.6), (x, tall * 0.6), width=0.09, tone="second")
                    for x in (-0.15, 0.1)]
    return drawing


def rabbit(rng: Generator) -> Drawing:
    """A rabbit's head and shoulders from the front."""
    ear, spread = rng.uniform(0.55, 0.7), rng.uniform(0.05, 0.22)
    wide = rng.uniform(0.45, 0.55)
    ears = mirrored([
        ellipse(0.22 + spread / 2, -0.3 - ear / 2, 0.15, ear * 0.62, turn=spread * 60),
        ellipse(0.22 + spread / 2, -0.3 - ear / 2, 0.07, ear * 0.45, "second", turn=spread * 60),
    ])
    body = sector(0, 1.0, wide * 1.15, 0.5, 180, 360)
    face = ellipse(0, 0.15, wide, 0.45)
    eyes = mirrored([ellipse(wide * 0.42, 0.05, 0.07, 0.09, "dark")])
    cheeks = mirrored([ellipse(0.1, 0.32, 0.13, 0.1, "light")])
    nose = ellipse(0, 0.22, 0.07, 0.05, "second")
    teeth = polygon((-0.06, 0.36), (0.06, 0.36), (0.06, 0.5), (-0.06, 0.5), tone="light")
    return [*ears, body, face, *eyes, teeth, *cheeks, nose]
