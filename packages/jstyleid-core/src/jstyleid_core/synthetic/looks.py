"""Looks: renderings of a scene that the embedded model has never seen, the styles of the demo."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from jstyleid_core.synthetic.rendering import draw_line, draw_plain, draw_shape
from jstyleid_core.synthetic.scene import Colour, Scene, recoloured
from jstyleid_core.synthetic.shapes import Tone

Plane = NDArray[np.float64]

_FINER = 3
_TILES = 14
_CLAY = np.array([
    (164, 58, 40), (222, 160, 82), (240, 224, 188), (52, 92, 98), (116, 140, 92), (70, 46, 40),
])
_MOSAIC_TONES: dict[Tone, Colour] = {
    "main": _CLAY[0] / 255, "second": _CLAY[3] / 255, "dark": _CLAY[5] / 255,
    "light": _CLAY[2] / 255,
}
_MOSAIC_GROUND = (_CLAY[1] / 255, _CLAY[4] / 255)
_JOINT = (48, 40, 38)
_NEON_FINER = 2
_TUBES = ((255, 45, 165), (40, 235, 255), (255, 225, 70), (120, 255, 110))
_DOT_PAPER = (247, 239, 214)
_PALETTE = np.array([
    (228, 87, 46), (255, 201, 60), (23, 104, 172), (90, 174, 97), (241, 143, 160),
    (118, 72, 152), (34, 41, 72), (250, 245, 232),
])
"""Colours of the dots."""
_DOT_TONES: dict[Tone, Colour] = {
    "main": _PALETTE[0] / 255, "second": _PALETTE[5] / 255, "dark": _PALETTE[6] / 255,
    "light": _PALETTE[4] / 255,
}
_DOT_GROUND = (np.array([0.55, 0.76, 0.85]), np.array([0.66, 0.78, 0.35]))
_WASH_FINER = 2
_WASH_PAPER = np.array([0.98, 0.97, 0.94])
_WASHES: dict[Tone, Colour] = {
    "main": np.array([0.36, 0.55, 0.74]),
    "second": np.array([0.86, 0.56, 0.52]),
    "dark": np.array([0.34, 0.38, 0.52]),
    "light": np.array([0.88, 0.87, 0.72]),
}
_SKY = np.array([0.80, 0.89, 0.86])
_ANGLES: dict[Tone, float] = {"main": 0.6, "second": -0.7, "dark": 0.0, "light": 1.2}
_BLACK: dict[Tone, float] = {"main": 0.5, "second": 0.66, "dark": 1.0, "light": 0.15}


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


def mosaic(rng: Generator, scene: Scene, size: int) -> Image.Image:
    """Each tile has the nearest of six colours, a little lighter or darker than the others."""
    plain = draw_plain(recoloured(scene, _MOSAIC_TONES, _MOSAIC_GROUND), size)
    small = np.asarray(plain.resize((_TILES, _TILES), Image.Resampling.BOX))
    away = np.linalg.norm(small[..., None, :].astype(np.float64) - _CLAY, axis=-1)
    tiles = _CLAY[away.argmin(-1)] * rng.uniform(0.88, 1.08, (_TILES, _TILES, 1))
    fine = size * _FINER
    at = np.arange(fine) * _TILES / fine
    number, within = at.astype(int), at % 1
    pixels = tiles[np.ix_(number, number)]
    joint = (within < 0.16)[:, None] | (within < 0.16)[None, :]
    pixels[joint] = _JOINT
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).reduce(_FINER)


def neon(rng: Generator, scene: Scene, size: int) -> Image.Image:
    """Each tone's outlines are a tube of one colour."""
    fine = size * _NEON_FINER
    order = rng.permutation(len(_TUBES))
    tubes = dict(zip(("main", "second", "dark", "light"), (_TUBES[i] for i in order), strict=True))
    lines = Image.new("RGB", (fine, fine))
    cores = Image.new("RGB", (fine, fine))
    for shape in scene.drawing:
        draw_line(ImageDraw.Draw(lines), shape.outline, fine, 0.022, tubes[shape.tone])
        draw_line(ImageDraw.Draw(cores), shape.outline, fine, 0.008, (255, 255, 255))
    night = Image.new("RGB", (fine, fine), (30, 22, 56))
    glow = lines.filter(ImageFilter.GaussianBlur(fine * 0.03)).point(lambda v: min(255, v * 2))
    picture = night
    for light in (glow, lines, cores.filter(ImageFilter.GaussianBlur(1))):
        picture = ImageChops.screen(picture, light)
    return picture.reduce(_NEON_FINER)


def pointillism(rng: Generator, scene: Scene, size: int) -> Image.Image:
    """Each dot has one of eight colours, by chance one near the one it stands for."""
    scene = recoloured(scene, _DOT_TONES, _DOT_GROUND)
    plain = np.asarray(draw_plain(scene, size)).astype(np.float64)
    fine = size * _FINER
    picture = Image.new("RGB", (fine, fine), _DOT_PAPER)
    pen = ImageDraw.Draw(picture)
    step = size / 24
    grid = np.stack(np.meshgrid(*2 * [np.arange(0, size, step)]), -1).reshape(-1, 2)
    dots = grid + rng.uniform(0, step, grid.shape)
    for x, y in dots[rng.permutation(len(dots))]:
        wanted = plain[min(size - 1, int(y)), min(size - 1, int(x))]
        away = np.linalg.norm(_PALETTE - wanted, axis=1) + rng.normal(0, 35, len(_PALETTE))
        colour = tuple(int(v) for v in _PALETTE[away.argmin()])
        radius = step * rng.uniform(0.42, 0.58) * _FINER
        cx, cy = x * _FINER, y * _FINER
        pen.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=colour)
    return picture.reduce(_FINER)


def watercolour(rng: Generator, scene: Scene, size: int) -> Image.Image:
    """Soft blue and rose washes with darker rims and uneven pigment."""
    fine = size * _WASH_FINER
    pixels = _WASH_PAPER * np.ones((fine, fine, 3))
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
        pixels = pixels * (1 - 0.55 * soft[..., None]) + 0.55 * soft[..., None] * _WASH_PAPER
        pixels *= 1 - (1 - wash) * np.clip(pigment, 0, 1)[..., None]
    return Image.fromarray(np.clip(pixels * 255, 0, 255).astype(np.uint8)).reduce(_WASH_FINER)


def _cloudy(rng: Generator, size: int, grain: int) -> NDArray[np.float64]:
    """Smooth noise from 0 to 1, (size, size)."""
    coarse = Image.fromarray((rng.random((grain, grain)) * 255).astype(np.uint8))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)) / 255.0


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

LOOKS: Mapping[str, Callable[[Generator, Scene, int], Image.Image]] = {
    "ink": ink,
    "mosaic": mosaic,
    "neon": neon,
    "pointillism": pointillism,
    "watercolour": watercolour,
    "woodcut": woodcut,
}
"""By name: draws a scene as a square RGB picture of so many pixels a side."""
