"""Pictures scaled so that the wanted size fits in, and cut out at several places."""

from __future__ import annotations

import numpy as np
from PIL import Image

from jstyleid_core.images import Size


def crops(
    image: Image.Image, size: Size, *, enlarge: float, count: int, seed: tuple[int, ...]
) -> list[Image.Image]:
    """Cut-outs of `size`, at places drawn without repetition from all there are.

    The proportions are kept: the shorter side is scaled to fit, the longer one is cropped.

    Args:
        image: RGB.
        size: width and height of the cut-outs.
        enlarge: 1 scales until `size` just fits; 1.04 leaves 4 % to crop on both axes.
        count: how many at most; where there are fewer places, each is taken once.
        seed: of the places.
    """
    width, height = size
    factor = enlarge * max(width / image.width, height / image.height)
    scaled = (max(width, round(image.width * factor)), max(height, round(image.height * factor)))
    large = image if scaled == image.size else image.resize(scaled, Image.Resampling.LANCZOS)
    across, down = scaled[0] - width + 1, scaled[1] - height + 1
    places = across * down
    chosen = np.random.default_rng(seed).choice(places, min(count, places), replace=False)
    return [large.crop((x, y, x + width, y + height))
            for y, x in (divmod(int(place), across) for place in chosen)]
