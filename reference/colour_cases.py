"""Pictures and their official colour scores: `jdiff_checker` and `jstyleid_runner` each compute it.

The scores are the checker's, which its own tests hold against the official code.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image


def picture(seed: int, side: int = 48) -> Image.Image:
    """Blocks of colours of all hues, saturations and values, with some noise."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (6, 6, 3)).repeat(side // 6, 0).repeat(side // 6, 1)
    blocks[: side // 3] = blocks[: side // 3].mean(-1, keepdims=True).astype(np.int64)  # greys
    noisy = blocks + rng.integers(-seed, 5, blocks.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


SCORES: Mapping[tuple[int, tuple[int, ...]], float] = {
    (1, (1,)): 1.0,
    (1, (2,)): 0.4270660663233182,
    (3, (4, 5)): 0.5666288259042465,
    (6, (1, 2, 3, 6)): 0.7733484623384093,
}
"""The score of a picture by its seed, with the seeds of the references."""
EVERY_COLOUR = 0.6982865911528549
"""The score of `every_colour` with `skewed` as the reference."""


def every_colour() -> Image.Image:
    """All colours of 32 levels a channel, (256, 128)."""
    levels = np.arange(32) * 8 + 3
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1)
    return Image.fromarray(grid.reshape(256, 128, 3).astype(np.uint8))


def skewed() -> Image.Image:
    """The same with its darker half lighter: other counts in most of the bins."""
    pixels = np.asarray(every_colour()).astype(np.int64)
    return Image.fromarray((255 - (255 - pixels) ** 2 // 255).astype(np.uint8))
