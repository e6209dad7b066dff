"""Watercolour: thin washes that run into each other on white paper."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from jstyleid_core.drawn_world.colours import Colour
from jstyleid_core.drawn_world.plain import draw_shape
from jstyleid_core.drawn_world.scene import Scene
from jstyleid_core.drawn_world.shapes import Tone

_FINER = 2
_PAPER = np.array([0.98, 0.97, 0.94])
_WASHES: dict[Tone, Colour] = {
    "main": np.array([0.36, 0.55, 0.74]),
    "second": np.array([0.86, 0.56, 0.52]),
    "dark": np.array([0.34, 0.38, 0.52]),
    "light": np.array([0.88, 0.87, 0.72]),
}
_SKY = np.array([0.80, 0.89, 0.86])


def watercolour(rng: Generator, scene: Scene, size: int) -> Image.Image:
    """Soft blue and rose washes with darker rims and uneven pigment."""
    fine = size * _FINER
    pixels = _PAPER * np.ones((fine, fine, 3))
    sky = _cloudy(rng, fine, 5) * np.clip(1.2 - np.linspace(0, 1, fine)[:, None] ** 2, 0, 1)
    pixels *= 1 - (1 - _SKY) * np.clip(sky, 0, 1)[..., None]
    for shape in scene.drawing:
        mask = Image.new("L", (fine, fine))
        draw_shape(ImageDraw.Draw(mask), shape, fine, 255)
        soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(fine / 120))) / 255
        inside = np.asarray(mask.filter(ImageFilter.GaussianBlur(fine / 32))) / 255
        rim = np.clip(soft - inside, 0, 1)
        pigment = soft * (0.55 + 0.45 * _cloudy(rng, fine, 9)) + 0.7 * rim
        wash = _WASHES[shape.tone] + rng.normal(0, 0.03, 3)
        # A wash covers what is below it half, and half shines through.
        pixels = pixels * (1 - 0.55 * soft[..., None]) + 0.55 * soft[..., None] * _PAPER
        pixels *= 1 - (1 - wash) * np.clip(pigment, 0, 1)[..., None]
    return Image.fromarray(np.clip(pixels * 255, 0, 255).astype(np.uint8)).reduce(_FINER)


def _cloudy(rng: Generator, size: int, grain: int) -> NDArray[np.float64]:
    """Smooth noise from 0 to 1, (size, size)."""
    coarse = Image.fromarray((rng.random((grain, grain)) * 255).astype(np.uint8))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)) / 255.0
