"""Things that drive, float and fly."""

from numpy.random import Generator

from jstyleid_core.synthetic.shapes import (
    Drawing,
    arc,
    blob,
    curve,
    ellipse,
    line,
    mirrored,
    polygon,
)


def bicycle(rng: Generator) -> Drawing:
    wheel, reach = rng.uniform(0.36, 0.42), rng.uniform(0.52, 0.58)
    wheels = [arc(x, 0.4, wheel, wheel, 0, 360, width=0.09) for x in (-reach, reach)]
    pedal, saddle, bar = (-0.05, 0.4), (-0.2, -0.2), (0.38, -0.25)
    frame = [line(*ends, width=0.09, tone="main") for ends in (
        ((-reach, 0.4), pedal), ((-reach, 0.4), saddle), (pedal, saddle), (pedal, bar),
        (saddle, bar), (bar, (reach, 0.4)))]
    return [*wheels, *frame, line((-0.38, -0.27), (-0.05, -0.27), width=0.13, tone="second"),
            curve(bar, (0.36, -0.5), (0.6, -0.52), width=0.09, tone="second"),
            ellipse(*pedal, 0.09, 0.09, "second")]


def boat(rng: Generator) -> Drawing:
    """A sailing boat."""
    mast, boom = rng.uniform(-0.98, -0.85), rng.uniform(0.15, 0.25)
    hull = blob((-0.92, 0.35), (0, 0.38), (0.95, 0.32), (0.7, 0.8), (0, 0.88), (-0.65, 0.8))
    hull = polygon((-0.95, 0.35), (0.95, 0.35), (0.65, 0.85), (-0.6, 0.85)) if (
        rng.random() < 0.5) else hull
    drawing: Drawing = [
        line((0, mast), (0, 0.4), width=0.07),
        polygon((0.07, mast + 0.05), (rng.uniform(0.6, 0.8), boom), (0.07, boom), tone="second"),
    ]
    if rng.random() < 0.75:
        drawing.append(polygon((-0.07, mast + 0.2), (-rng.uniform(0.45, 0.65), boom), (-0.07, boom),
                               tone="light"))
    drawing.append(hull)
    if rng.random() < 0.5:
        drawing.append(line((-0.75, 0.52), (0.78, 0.52), width=0.07, tone="light"))
    return drawing


def car(rng: Generator) -> Drawing:
    roof, nose = rng.uniform(-0.55, -0.4), rng.uniform(-0.02, 0.1)
    back = rng.uniform(-0.62, -0.5)
    cabin = polygon((back, 0.0), (back + 0.22, roof), (0.25, roof), (0.55, 0.0))
    body = blob((-0.95, 0.05), (-0.5, -0.06), (0.4, -0.05), (0.85, nose), (0.97, 0.3), (0.8, 0.42),
                (-0.85, 0.42), (-0.98, 0.3))
    panes = [
        polygon((back + 0.14, -0.05), (back + 0.27, roof + 0.1), (-0.12, roof + 0.1),
                (-0.12, -0.05), tone="light"),
        polygon((-0.02, -0.05), (-0.02, roof + 0.1), (0.2, roof + 0.1), (0.4, -0.05), tone="light"),
    ]
    wheel = rng.uniform(0.2, 0.25)
    wheels = [part for x in (-0.52, 0.52) for part in (
        ellipse(x, 0.42, wheel, wheel, "dark"),
        ellipse(x, 0.42, wheel * 0.45, wheel * 0.45, "light"))]
    lamp = ellipse(0.88, 0.17, 0.07, 0.07, "second")
    return [cabin, body, *panes, *wheels, lamp]


def rocket(rng: Generator) -> Drawing:
    wide = rng.uniform(0.27, 0.36)
    body = blob((0, -0.98), (wide * 0.75, -0.5), (wide, 0.1), (wide * 0.7, 0.6), (-wide * 0.7, 0.6),
                (-wide, 0.1), (-wide * 0.75, -0.5))
    fins = mirrored([polygon((wide * 0.7, 0.2), (wide + 0.35, 0.75), (wide * 0.5, 0.6),
                             tone="second")])
    flame = blob((-0.17, 0.6), (0.17, 0.6), (0.12, 0.8), (0, 1.0), (-0.12, 0.8), tone="light")
    window = [ellipse(0, -0.25, 0.17, 0.17, "dark"), ellipse(0, -0.25, 0.11, 0.11, "light")]
    return [flame, *fins, body, *window]


def umbrella(rng: Generator) -> Drawing:
    wide, top = rng.uniform(0.85, 0.98), rng.uniform(-0.85, -0.7)
    edge = 0.05
    canopy = polygon(*[(x, top + (edge - top) * (abs(x) / wide) ** 2.2)
                       for x in (wide * (i / 12 - 1) for i in range(25))],
                     (wide / 3 * 2, -0.06), (wide / 3, edge), (0, -0.06), (-wide / 3, edge),
                     (-wide / 3 * 2, -0.06))
    stripe = polygon((0, top), (wide / 3, edge), (0, -0.06), (-wide / 3, edge), tone="second")
    stick = line((0, -0.9), (0, 0.8), width=0.07)
    hook = arc(0.15, 0.78, 0.15, 0.17, 0, 180, width=0.07)
    return [stick, hook, canopy, stripe]
