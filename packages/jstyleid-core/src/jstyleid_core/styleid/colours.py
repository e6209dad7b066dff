"""Colours of finished pictures: matched to those of the style.

StyleID moves the statistics of latents. What the autoencoder makes of them has the style's colours
about, not exactly. Here the distribution of a picture's colours is brought to that of the style by
sliced optimal transport (Pitié et al., "Automated colour grading using colour distribution
transfer", 2007). No network is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jstyleid_core.styleid.mask import Mask

Palette = NDArray[np.uint8]
"""(P, 3): RGB values of pixels of a picture."""

_SIDE = 128
_ROTATIONS = 10
_QUANTILES = np.linspace(0, 1, 256)

_Floats = NDArray[Any]


def palette_of(image: Image.Image) -> Palette:
    """The colours of a picture: its pixels on a regular grid, at most 128 x 128."""
    pixels = np.asarray(image.convert("RGB"))
    rows, columns = (-(-side // _SIDE) for side in pixels.shape[:2])
    return pixels[::rows, ::columns].reshape(-1, 3)


def match_colours(
    image: Image.Image, palettes: Sequence[Palette], share: float, mask: Mask | None = None
) -> Image.Image:
    """Bring the distribution of a picture's colours to that of a style.

    With random rotations R_k, of which the first is the identity, and F the distribution functions
    of the rotated values in each of the three directions,

        x <- x + R_k^T (F_style^-1(F_x(R_k x)) - R_k x),    k = 1, ..., 10,

    and the result is x_0 + share (x_10 - x_0). Equal colours stay equal, so flat areas get no
    grain.

    Args:
        image: RGB picture.
        palettes: of each reference of the style, see `palette_of`; all count alike by pixels.
        share: 0 is the picture, 1 an exact match.
        mask: the part of the picture that is changed, and whose colours are matched.
    """
    pixels = np.asarray(image, np.float64)
    inside = np.ones(pixels.shape[:2]) if mask is None else mask.weights
    own = palette_of(image) if mask is None else pixels[inside >= 0.5]
    if not len(own):
        return image
    moved, own = pixels.reshape(-1, 3), own.astype(np.float64)
    style = np.concatenate(palettes).astype(np.float64)
    for rotation in _rotations():
        turned, samples, wanted = (_turned(x, rotation) for x in (moved, own, style))
        moves, own_moves = np.empty_like(turned), np.empty_like(samples)
        for axis in range(3):
            at, to = _quantile_map(samples[:, axis], wanted[:, axis])
            moves[:, axis] = np.interp(turned[:, axis], at, to) - turned[:, axis]
            own_moves[:, axis] = np.interp(samples[:, axis], at, to) - samples[:, axis]
        moved = moved + _turned(moves, rotation.T)
        own = own + _turned(own_moves, rotation.T)
    weights = share * inside[:, :, None]
    matched = pixels + weights * (np.clip(moved.reshape(pixels.shape), 0, 255) - pixels)
    return Image.fromarray(np.rint(matched).astype(np.uint8))


def _quantile_map(values: _Floats, wanted: _Floats) -> tuple[_Floats, _Floats]:
    """Increasing points, and the points that a monotone map takes them to."""
    at, to = np.quantile(values, _QUANTILES), np.quantile(wanted, _QUANTILES)
    # Where many pixels are equal, so are quantiles: they go to the mean of where they would go.
    points, number = np.unique(at, return_inverse=True)
    return points, np.bincount(number, to) / np.bincount(number)


def _turned(values: _Floats, rotation: _Floats) -> _Floats:
    # Not by BLAS, whose sums depend on the processor.
    return sum(values[:, i, None] * rotation[:, i] for i in range(3))


def _rotations() -> Iterator[_Floats]:
    """(3, 3) matrices: the identity, then random rotations, always the same."""
    yield np.eye(3)
    numbers = np.random.default_rng(0).standard_normal((_ROTATIONS - 1, 4))
    for quaternion in numbers:
        w, x, y, z = quaternion / np.sqrt((quaternion**2).sum())
        yield np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]])
