"""What StyleID's settings do to pictures, measured on the embedded model.

    python embedded_model/behaviour.py

prints the table of README.md; the core's tests hold it against what the paper says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
from PIL import Image

from classifier import probabilities
from jstyleid_core import StableDiffusion, StyleID, StyleIDSettings
from jstyleid_core.synthetic.looks import LOOKS
from jstyleid_core.synthetic.objects import KINDS
from jstyleid_core.synthetic.rendering import draw_plain
from jstyleid_core.synthetic.scene import random_scene
from jstyleid_core.weights.checkpoint import EMBEDDED_MODEL
from likeness import colour_likeness, structure_likeness, texture_distance

SIZE = 128
CONTENTS = 8
"""Contents a style: with six styles 48 pairs."""
SETTINGS: Mapping[str, StyleIDSettings] = {
    "defaults": StyleIDSettings(),
    "gamma 0.3": StyleIDSettings(gamma=0.3),
    "gamma 1": StyleIDSettings(gamma=1.0),
    "no AdaIN": StyleIDSettings(start_latents="none"),
    "no injection": StyleIDSettings(injection=False),
    "temperature 1": StyleIDSettings(temperature=1.0),
    "temperature 3": StyleIDSettings(temperature=3.0),
    "50 steps": StyleIDSettings(steps=50),
}


@dataclass(frozen=True)
class Figures:
    """Of a picture, or means over many.

    Attributes:
        colour: likeness to the style.
        texture: distance from the style.
        structure: likeness to the content.
        recognised: probability of the content's kind.
    """

    colour: float
    texture: float
    structure: float
    recognised: float


@dataclass(frozen=True)
class Pairs:
    """The pictures of one look: a style and contents of known kinds."""

    style: Image.Image
    contents: tuple[Image.Image, ...]
    kinds: tuple[str, ...]


def pairs(contents: int = CONTENTS) -> dict[str, Pairs]:
    """For each look a style picture and plain drawings of other kinds.

    Args:
        contents: the first so many of the `CONTENTS` drawings.
    """
    rng = np.random.default_rng(41)
    found = {}
    for name, look in LOOKS.items():
        shown, *kinds = (str(kind) for kind in rng.permutation(list(KINDS))[: CONTENTS + 1])
        drawings = tuple(draw_plain(random_scene(rng, kind), SIZE) for kind in kinds)
        style = look(rng, random_scene(rng, shown), SIZE)
        found[name] = Pairs(style, drawings[:contents], tuple(kinds[:contents]))
    return found


def figures(pictures: Sequence[Image.Image], of: Pairs) -> list[Figures]:
    """Of each picture of a look's contents."""
    seen = probabilities(pictures)
    return [
        Figures(
            colour_likeness(picture, of.style),
            texture_distance(picture, of.style),
            structure_likeness(picture, content),
            float(chances[list(KINDS).index(kind)]),
        )
        for picture, content, kind, chances in zip(
            pictures, of.contents, of.kinds, seen, strict=True)
    ]


def mean(many: Sequence[Figures]) -> Figures:
    return Figures(**{
        field.name: float(np.mean([getattr(one, field.name) for one in many]))
        for field in fields(Figures)
    })


def measure(
    model: StableDiffusion, settings: StyleIDSettings, found: Mapping[str, Pairs]
) -> dict[str, list[Figures]]:
    """Stylise every pair; returns the figures by look."""
    styleid = StyleID(model, settings)
    return {
        name: figures(styleid.transfer(of.contents, styleid.invert_style(of.style)), of)
        for name, of in found.items()
    }


def main(show: Callable[[str], None] = print) -> None:
    model = StableDiffusion.load(EMBEDDED_MODEL)
    found = pairs()
    unstyled = mean([one for of in found.values() for one in figures(of.contents, of)])
    rows = {"the contents themselves": unstyled}
    for name, settings in SETTINGS.items():
        measured = measure(model, settings, found)
        rows[name] = mean([one for many in measured.values() for one in many])
    names = [field.name for field in fields(Figures)]
    show("| | " + " | ".join(names) + " |\n" + "|---" * (1 + len(names)) + "|")
    for name, row in rows.items():
        show(f"| {name} | " + " | ".join(f"{v:.3f}" for v in asdict(row).values()) + " |")


if __name__ == "__main__":
    main()
