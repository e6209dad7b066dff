"""Ink: black brush lines on rice paper."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from jstyleid_core.drawn_world.plain import draw_line
from jstyleid_core.drawn_world.scene import Scene

_FINER = 3


def ink(rng: Generator, scene: Scene, size: int) -> Image.Image:
    """Outlines of uneven width; some shapes are filled with ink."""
    fine = size * _FINER
    paper = tuple(int(v) for v in np.clip(np.array([209, 203, 176]) + rng.normal(0, 2, 3), 0, 255))
    picture = Image.new("RGB", (fine, fine), paper)
    pen = ImageDraw.Draw(picture)
    black = (22, 20, 26)
    for shape in scene.drawing:
        if shape.width:
            draw_line(pen, shape.points, fine, max(0.018, shape.width * 0.7), black)
            continue
        filled = black if shape.tone == "dark" else paper
        pen.polygon([tuple(point) for point in shape.points * fine], fill=filled)
        for start, end in pairwise(shape.outline):
            draw_line(pen, np.stack([start, end]), fine, rng.uniform(0.012, 0.026), black)
    return picture.reduce(_FINER)
