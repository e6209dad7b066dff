"""The challenge's colour score, as `jdiff-check` computes it by its official scoring.

It needs no weights, so a sweep can always have it. `jdiff-check` is a package of its own, which
this one does not import; a test holds both to the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Histogram = NDArray[np.float32]

_HUE_EDGES = (20, 40, 75, 155, 190, 270, 295, 315)
_LEVEL_EDGES = (51, 178)
_RGB_BINS, _HSV_BINS = 4096, 72
_SHIFT = 12
"""Bits after the point in OpenCV's division tables."""


def colour_score(picture: Image.Image, references: Sequence[Image.Image]) -> float:
    """Mean correlation of the RGB and the HSV histogram with the references' mean; -1 to 1.

    Args:
        picture: a result.
        references: the style's sample images, at least one.
    """
    own = _histograms(picture)
    others = [_histograms(reference) for reference in references]
    scores = [
        _correlation(np.sum([other[part] for other in others], axis=0, dtype=np.float32)
                     / np.float32(len(others)), own[part])
        for part in (0, 1)
    ]
    return sum(scores) / 2


def _histograms(picture: Image.Image) -> tuple[Histogram, Histogram]:
    rgb = np.asarray(picture.convert("RGB"))
    red, green, blue = np.moveaxis(rgb // 16, -1, 0)
    # In 8 bits, in which numbers wrap at 256, as in the official checker.
    joint = np.left_shift(blue, 8) + np.left_shift(green, 4) + red
    hue, saturation, value = _hsv(rgb.astype(np.int32))
    degrees = (2 * hue).astype(np.uint8)
    classes = (9 * (np.searchsorted(_HUE_EDGES, degrees, side="left") % len(_HUE_EDGES))
               + 3 * np.searchsorted(_LEVEL_EDGES, saturation, side="left")
               + np.searchsorted(_LEVEL_EDGES, value, side="left"))
    # 72 bins over 0 to 71 are a little narrower than 1, and the last class falls out.
    bins = classes[classes < _HSV_BINS - 1] * _HSV_BINS // (_HSV_BINS - 1)
    return (np.bincount(joint.ravel(), minlength=_RGB_BINS).astype(np.float32),
            np.bincount(bins.ravel(), minlength=_HSV_BINS).astype(np.float32))


def _hsv(rgb: NDArray[np.int32]) -> tuple[NDArray[np.int32], ...]:
    """Hue from 0 to 179, saturation and value from 0 to 255, in OpenCV's integers."""
    red, green, blue = np.moveaxis(rgb, -1, 0)
    value = rgb.max(-1)
    span = value - rgb.min(-1)
    numbers = np.maximum(np.arange(256), 1)
    by_value = np.rint((255 << _SHIFT) / numbers).astype(np.int32)
    by_span = np.rint((180 << _SHIFT) / (6.0 * numbers)).astype(np.int32)
    by_value[0] = by_span[0] = 0
    half = 1 << (_SHIFT - 1)
    saturation = (span * by_value[value] + half) >> _SHIFT
    turned = np.where(value == red, green - blue, np.where(
        value == green, blue - red + 2 * span, red - green + 4 * span))
    hue = (turned * by_span[span] + half) >> _SHIFT
    return np.where(hue < 0, hue + 180, hue), saturation, value


def _correlation(first: Histogram, second: Histogram) -> float:
    """Pearson's correlation over the bins; 1 where both are constant."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    spread = float((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / np.sqrt(spread)) if spread > np.finfo(np.float64).eps else 1.0
