"""Things of every day."""

import numpy as np
from numpy.random import Generator

from jstyleid_core.synthetic.shapes import (
    Drawing,
    arc,
    blob,
    box,
    curve,
    ellipse,
    line,
    polygon,
    sector,
)


def bottle(rng: Generator) -> Drawing:
    wide, neck = rng.uniform(0.3, 0.42), rng.uniform(0.1, 0.14)
    shoulder = rng.uniform(-0.25, -0.05)
    body = polygon((-neck, -0.85), (neck, -0.85), (neck, shoulder - 0.25), (wide, shoulder),
                   (wide, 0.95), (-wide, 0.95), (-wide, shoulder), (-neck, shoulder - 0.25))
    return [body, box(-neck - 0.04, -1.0, neck + 0.04, -0.82, "dark"),
            box(-wide, 0.2, wide, 0.65, "second"),
            line((-wide * 0.62, shoulder + 0.1), (-wide * 0.62, 0.12), width=0.07, tone="light")]


def chair(rng: Generator) -> Drawing:
    seat, high = rng.uniform(0.1, 0.25), rng.uniform(-0.98, -0.8)
    legs = [line((x, seat), (x + lean, 0.98), width=0.12, tone="dark")
            for x, lean in ((-0.45, -0.05), (0.5, 0.06), (-0.15, 0.0), (0.25, 0.0))]
    if rng.random() < 0.5:
        back = [box(-0.55, high, -0.38, seat), box(0.22, high + 0.0, 0.38, seat),
                box(-0.5, high + 0.1, 0.35, high + 0.5, "second")]
    else:
        back = [box(-0.55, high, 0.35, seat - 0.1, round=0.12),
                box(-0.4, high + 0.14, 0.2, seat - 0.2, "second")]
    return [*legs, *back, polygon((-0.6, seat - 0.1), (0.38, seat - 0.1), (0.65, seat + 0.12),
                                  (-0.5, seat + 0.12))]


def clock(rng: Generator) -> Drawing:
    hour, minute = rng.uniform(0, 2 * np.pi, 2)
    ticks = [
        line((0.62 * np.cos(a), 0.62 * np.sin(a)), (0.72 * np.cos(a), 0.72 * np.sin(a)), width=0.07)
        for a in np.arange(12) * np.pi / 6
    ]
    hands = [line((0, 0), (r * np.cos(a), r * np.sin(a)), width=w)
             for a, r, w in ((hour, 0.35, 0.12), (minute, 0.58, 0.08))]
    return [ellipse(0, 0, 0.95, 0.95), ellipse(0, 0, 0.78, 0.78, "light"), *ticks, *hands,
            ellipse(0, 0, 0.09, 0.09, "second")]


def cup(rng: Generator) -> Drawing:
    wide, foot = rng.uniform(0.52, 0.62), rng.uniform(0.35, 0.5)
    top = rng.uniform(-0.5, -0.3)
    handle = arc(wide * 0.9, 0.12, 0.3, 0.32, -100, 110, width=0.13, tone="main")
    body = polygon((-wide, top), (wide, top), (foot, 0.8), (-foot, 0.8))
    drawing = [handle, body, ellipse(0, top, wide, 0.13, "dark"),
               line((-wide * 0.88, 0.2), (wide * 0.88, 0.2), width=0.16, tone="second")]
    if rng.random() < 0.5:
        drawing += [curve((x, -0.6), (x + 0.09, -0.72), (x - 0.07, -0.85), (x, -0.98), width=0.06,
                          tone="light") for x in (-0.2, 0.15)]
    return drawing


def glasses(rng: Generator) -> Drawing:
    lens, apart = rng.uniform(0.34, 0.4), rng.uniform(0.5, 0.54)
    shape = rng.random() < 0.6
    drawing: Drawing = []
    for x in (-apart, apart):
        if shape:
            drawing += [ellipse(x, 0.05, lens, lens, "second"),
                        arc(x, 0.05, lens, lens, 0, 360, width=0.12, tone="main")]
        else:
            corners = ((x - lens, -0.22), (x + lens, -0.22), (x + lens * 0.8, 0.32),
                       (x - lens * 0.8, 0.32))
            drawing += [polygon(*corners, tone="second"),
                        line(*corners, corners[0], width=0.12, tone="main")]
    bridge = curve((-apart + lens, -0.02), (0, -0.15), (apart - lens, -0.02), width=0.1,
                   tone="main")
    arms = [line((side * (apart + lens - 0.03), -0.08), (side * 0.98, -0.3), width=0.1, tone="main")
            for side in (-1, 1)]
    return [*drawing, bridge, *arms]


def hat(rng: Generator) -> Drawing:
    crown, high = rng.uniform(0.42, 0.55), rng.uniform(-0.75, -0.5)
    brim = ellipse(0, 0.45, 0.97, rng.uniform(0.18, 0.28))
    top = blob((-crown, 0.42), (-crown * 0.92, high + 0.15), (-crown * 0.4, high), (0, high + 0.1),
               (crown * 0.4, high), (crown * 0.92, high + 0.15), (crown, 0.42), (0, 0.55))
    band = polygon((-crown, 0.15), (crown, 0.15), (crown * 1.02, 0.4), (0, 0.5),
                   (-crown * 1.02, 0.4), tone="second")
    return [brim, top, band]


def key(rng: Generator) -> Drawing:
    ring, shaft = rng.uniform(0.26, 0.34), rng.uniform(0.1, 0.14)
    teeth = [box(x, 0.0, x + 0.13, rng.uniform(0.24, 0.4)) for x in (0.45, 0.68, 0.85)]
    return [arc(-0.6, 0, ring, ring, 0, 360, width=0.17, tone="main"),
            box(-0.6 + ring, -shaft, 0.98, shaft * 0.6), *teeth]


def lamp(rng: Generator) -> Drawing:
    wide, top = rng.uniform(0.5, 0.65), rng.uniform(0.22, 0.35)
    shade = polygon((-top, -0.95), (top, -0.95), (wide, -0.1), (-wide, -0.1))
    return [line((0, -0.2), (0, 0.85), width=0.12), shade,
            polygon((-top * 0.98, -0.85), (top * 0.98, -0.85), (top + 0.06, -0.7),
                    (-top - 0.06, -0.7), tone="second"),
            sector(0, 0.95, 0.42, 0.22, 180, 360, "second"),
            line((wide * 0.5, -0.1), (wide * 0.5, 0.2), width=0.04)]


def vase(rng: Generator) -> Drawing:
    belly, neck = rng.uniform(0.42, 0.55), rng.uniform(0.13, 0.2)
    body = blob((-neck * 1.5, -0.25), (-neck, -0.05), (-belly, 0.45), (-neck * 1.5, 0.97),
                (neck * 1.5, 0.97), (belly, 0.45), (neck, -0.05), (neck * 1.5, -0.25))
    band = line((-belly * 0.92, 0.45), (belly * 0.92, 0.45), width=0.14, tone="second")
    stems = [curve((0, -0.2), (x * 0.4, -0.5), (x, -0.78), width=0.05) for x in (-0.35, 0.02, 0.38)]
    heads = [ellipse(x, -0.82, 0.15, 0.15, "second") for x in (-0.35, 0.02, 0.38)]
    return [*stems, *heads, body, band]
