"""Woodcut: black hatching on a tinted paper."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from jstyleid_core.drawn_world.plain import draw_line, draw_shape
from jstyleid_core.drawn_world.scene import Scene
from jstyleid_core.drawn_world.shapes import Tone

_FINER = 3
Plane = NDArray[np.float64]
_ANGLES: dict[Tone, float] = {"main": 0.6, "second": -0.7, "dark": 0.0, "light": 1.2}
_BLACK: dict[Tone, float] = {"main": 0.5, "second": 0.66, "dark": 1.0, "light": 0.15}


def woodcut(rng: Generator, scene: Scene, size: int) -> Image.Image:
    """Every tone is hatched in a direction and a density of its own; the sky in flat lines."""
    fine = size * _FINER
    y, x = np.mgrid[0:fine, 0:fine] / fine
    period = rng.uniform(0.075, 0.085)
    paper = np.array([232, 205, 160]) + rng.normal(0, 4, 3)
    cut = _hatching(x, y, rng.normal(0, 0.1), period, 0.3)
    for shape in scene.drawing:
        mask = Image.new("L", (fine, fine))
        draw_shape(ImageDraw.Draw(mask), shape, fine, 255)
        hatching = _hatching(x, y, _ANGLES[shape.tone], period, _BLACK[shape.tone])
        cut = np.where(np.asarray(mask) > 0, hatching, cut)
        if not shape.width:
            edge = Image.new("L", (fine, fine))
            draw_line(ImageDraw.Draw(edge), shape.outline, fine, 0.018, 255)
            cut = np.where(np.asarray(edge) > 0, 1.0, cut)
    pixels = paper * (1 - cut[..., None]) + np.array([34, 24, 20]) * cut[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).reduce(_FINER)


def _hatching(x: Plane, y: Plane, angle: float, period: float, black: float) -> Plane:
    across = y * math.cos(angle) - x * math.sin(angle)
    wavy = across + 0.006 * np.sin(30 * (x * math.cos(angle) + y * math.sin(angle)))
    return (wavy / period % 1 < black).astype(np.float64)
