"""What the variants are tried on: styles with references and other pictures, and contents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from jstyleid_core.image_files import is_image_name, open_image
from jstyleid_core.images import Size, fit
from jstyleid_core.synthetic.looks import LOOKS
from jstyleid_core.synthetic.objects import KINDS
from jstyleid_core.synthetic.rendering import draw_plain
from jstyleid_core.synthetic.scene import random_scene

SIDE = 128
CONTENTS, REFERENCES, OTHERS = 8, 4, 4


@dataclass(frozen=True)
class Case:
    """One style and the contents that take it.

    Attributes:
        name: the style's name.
        references: pictures of the style that a method may use.
        others: pictures of the style that no method sees; results are measured against them.
        contents: pictures to stylise.
        kinds: object in each content and prompt, where it is known.
    """

    name: str
    references: tuple[Image.Image, ...]
    others: tuple[Image.Image, ...]
    contents: tuple[Image.Image, ...]
    kinds: tuple[str, ...]


def embedded_cases() -> list[Case]:
    """Six looks that the embedded model has never seen, each with 8 drawings of other objects."""
    rng = np.random.default_rng(43)
    found = []
    for name, look in LOOKS.items():
        kinds = [str(kind) for kind in rng.permutation(list(KINDS))]
        shown, wanted = kinds[: REFERENCES + OTHERS], kinds[-CONTENTS:]
        contents = tuple(draw_plain(random_scene(rng, kind), SIDE) for kind in wanted)
        pictures = [look(rng, random_scene(rng, kind), SIDE) for kind in shown]
        found.append(Case(name, tuple(pictures[:REFERENCES]), tuple(pictures[REFERENCES:]),
                          contents, tuple(wanted)))
    return found


def folder_cases(contents: Path, styles: Path, size: Size) -> list[Case]:
    """Every picture of a folder as a style of its own, for every picture of another: the paper's.

    Args:
        contents: folder of contents; the paper takes 20 of MS-COCO.
        styles: folder of styles; the paper takes 40 of WikiArt.
        size: size that all are scaled and cropped to.
    """
    drawings = tuple(fit(open_image(path), size) for path in _pictures(contents))
    found = []
    for path in _pictures(styles):
        picture = fit(open_image(path), size)
        found.append(Case(path.stem, (picture,), (picture,), drawings, ()))
    return found


def _pictures(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.iterdir() if is_image_name(path))
