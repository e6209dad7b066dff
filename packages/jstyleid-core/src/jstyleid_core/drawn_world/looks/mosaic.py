"""Mosaic: square tiles in a few earthen colours, with dark joints."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from PIL import Image

from jstyleid_core.drawn_world.colours import Colour
from jstyleid_core.drawn_world.plain import draw_plain
from jstyleid_core.drawn_world.scene import Scene, recoloured
from jstyleid_core.drawn_world.shapes import Tone

_TILES = 14
_FINER = 3
_CLAY = np.array([
    (164, 58, 40), (222, 160, 82), (240, 224, 188), (52, 92, 98), (116, 140, 92), (70, 46, 40),
])
_TONES: dict[Tone, Colour] = {
    "main": _CLAY[0] / 255, "second": _CLAY[3] / 255, "dark": _CLAY[5] / 255,
    "light": _CLAY[2] / 255,
}
_GROUND = (_CLAY[1] / 255, _CLAY[4] / 255)
_JOINT = (48, 40, 38)


def mosaic(rng: Generator, scene: Scene, size: int) -> Image.Image:
    """Each tile has the nearest of six colours, a little lighter or darker than the others."""
    plain = draw_plain(recoloured(scene, _TONES, _GROUND), size)
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
