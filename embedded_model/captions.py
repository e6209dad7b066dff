"""What is said about a scene."""

import re

from numpy.random import Generator

from jstyleid_core.synthetic.scene import Scene

FORMS = (
    "{kind}",
    "a {kind}",
    "a picture of a {kind}",
    "a drawing of a {kind}",
    "a {colour} {kind}",
    "a {colour} {kind} on {behind}",
    "a picture of a {colour} {kind}",
)
_STYLED = 0.2


def caption(rng: Generator, scene: Scene) -> str:
    """One of the ways to name the scene.

    Some end in "in style_07" with any number, which says nothing about the picture, so that the
    model draws the same object when a LoRA gives these words a meaning.
    """
    colour, behind = scene.names
    text = str(rng.choice(FORMS)).format(kind=scene.kind, colour=colour, behind=behind)
    text = re.sub(r"\ba (?=[aeiou])", "an ", text)
    return f"{text} in style_{rng.integers(100):02d}" if rng.random() < _STYLED else text
