"""Looks that the embedded model has never seen: the styles of the demo."""

from collections.abc import Callable, Mapping

from numpy.random import Generator
from PIL.Image import Image

from jstyleid_core.drawn_world.looks.ink import ink
from jstyleid_core.drawn_world.looks.mosaic import mosaic
from jstyleid_core.drawn_world.looks.neon import neon
from jstyleid_core.drawn_world.looks.pointillism import pointillism
from jstyleid_core.drawn_world.looks.watercolour import watercolour
from jstyleid_core.drawn_world.looks.woodcut import woodcut
from jstyleid_core.drawn_world.scene import Scene

LOOKS: Mapping[str, Callable[[Generator, Scene, int], Image]] = {
    "ink": ink,
    "mosaic": mosaic,
    "neon": neon,
    "pointillism": pointillism,
    "watercolour": watercolour,
    "woodcut": woodcut,
}
"""By name: draws a scene as a square RGB picture of so many pixels a side."""
