"""Drawings in numbers, kept on disk since drawing takes longer than reading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from captions import caption
from jstyleid_core.synthetic.objects import KINDS
from jstyleid_core.synthetic.rendering import draw_plain
from jstyleid_core.synthetic.scene import random_scene

TRAINING, HELD_OUT = 1, 2
"""Seeds of the two sets; the second is never trained on."""
CAPTIONS = 6
"""Captions a picture, of which each time another is taken."""


def drawings(
    folder: Path, seed: int, count: int, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[list[str]]]:
    """Pictures (count, size, size, 3), the number of the kind of each, and captions of each."""
    rng = np.random.default_rng(seed)
    file = folder / f"drawings-{seed}-{count}-{size}.npy"
    pictures = np.load(file, mmap_mode="r") if file.exists() else None
    made = None if file.exists() else np.empty((count, size, size, 3), np.uint8)
    kinds, captions = np.empty(count, np.int64), []
    for number in range(count):
        kinds[number] = number % len(KINDS)
        scene = random_scene(rng, list(KINDS)[kinds[number]])
        captions.append([caption(rng, scene) for _ in range(CAPTIONS)])
        if made is not None:
            made[number] = np.asarray(draw_plain(scene, size))
    if made is not None:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(file, made)
        pictures = np.load(file, mmap_mode="r")
    assert pictures is not None
    return pictures, kinds, captions
