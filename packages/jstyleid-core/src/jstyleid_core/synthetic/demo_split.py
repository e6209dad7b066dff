"""The demo split: six styles in the challenge's layout, with prompts that no sample shows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from jstyleid_core.files import atomic_path
from jstyleid_core.image_files import save_png
from jstyleid_core.synthetic.looks import LOOKS
from jstyleid_core.synthetic.objects import KINDS
from jstyleid_core.synthetic.scene import random_scene

SIZE = 128
SAMPLES, PROMPTS = 4, 5
"""Pictures and prompts of a style."""


def draw_split(folder: Path) -> dict[str, str]:
    """Draw the split into a folder: `NN/images/*.png` and `NN/prompt.json`; the same each time.

    Returns:
        the look's name of each style NN.

    Raises:
        OutputError: the folder cannot be written to.
    """
    rng = np.random.default_rng(0)
    kinds = rng.permutation(list(KINDS)).tolist()
    names = {}
    for number, (name, look) in enumerate(LOOKS.items()):
        style = f"{number:02d}"
        names[style] = name
        # The kinds go round, so that every look has other ones and most of them occur.
        mine = [kinds[(number * (SAMPLES + PROMPTS) + n) % len(kinds)]
                for n in range(SAMPLES + PROMPTS)]
        for index, kind in enumerate(mine[:SAMPLES]):
            path = folder / style / "images" / f"{index:02d}.png"
            save_png(look(rng, random_scene(rng, kind), SIZE), path)
        prompts = {str(n): kind.capitalize() for n, kind in enumerate(mine[SAMPLES:])}
        with atomic_path(folder / style / "prompt.json") as path:
            path.write_text(json.dumps(prompts, indent=2) + "\n", encoding="utf-8")
    return names
