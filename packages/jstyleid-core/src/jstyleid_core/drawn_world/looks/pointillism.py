"""Pointillism: dots of pure colours, side by side."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from jstyleid_core.drawn_world.colours import Colour
from jstyleid_core.drawn_world.plain import draw_plain
from jstyleid_core.drawn_world.scene import Scene, recoloured
from jstyleid_core.drawn_world.shapes import Tone

_FINER = 3
_PAPER = (247, 239, 214)
_PALETTE = np.array([
    (228, 87, 46), (255, 201, 60), (23, 104, 172), (90, 174, 97), (241, 143, 160),
    (118, 72, 152), (34, 41, 72), (250, 245, 232),
])
"""What there are dots of."""
_TONES: dict[Tone, Colour] = {
    "main": _PALETTE[0] / 255, "second": _PALETTE[5] / 255, "dark": _PALETTE[6] / 255,
    "light": _PALETTE[4] / 255,
}
_GROUND = (np.array([0.55, 0.76, 0.85]), np.array([0.66, 0.78, 0.35]))


def pointillism(rng: Generator, scene: Scene, size: int) -> Image.Image:
    """Each dot has one of eight colours, by chance one near the one it stands for."""
    plain = np.asarray(draw_plain(recoloured(scene, _TONES, _GROUND), size)).astype(np.float64)
    fine = size * _FINER
    picture = Image.new("RGB", (fine, fine), _PAPER)
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
