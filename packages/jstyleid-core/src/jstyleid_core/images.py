"""Images in memory: scaled and cropped, averaged, converted to arrays and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

Size = tuple[int, int]
"""Width and height in pixels, in Pillow's order."""


def fit(image: Image.Image, size: Size) -> Image.Image:
    """Scale `image` to cover `size` and cut the centre out, so that nothing is distorted."""
    if image.size == size:
        return image
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def to_array(images: Sequence[Image.Image]) -> NDArray[Any]:
    """RGB pictures of one size as a float32 array (B, 3, H, W) with values in [-1, 1]."""
    stacked = np.stack([np.asarray(image.convert("RGB"), dtype=np.float32) for image in images])
    return np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)) / np.float32(127.5) - np.float32(1)


def to_images(array: NDArray[Any]) -> list[Image.Image]:
    """The inverse of `to_array`: values are clamped to [-1, 1] and rounded to 8 bits."""
    unit = np.clip(array.astype(np.float32) / 2 + np.float32(0.5), 0, 1)
    pixels = np.rint(unit.transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    return [Image.fromarray(picture) for picture in pixels]


def mean_image(images: Sequence[Image.Image]) -> Image.Image:
    """The mean of RGB pictures of one size, pixel by pixel."""
    pixels = np.mean([np.asarray(image, dtype=np.float64) for image in images], axis=0)
    return Image.fromarray(np.rint(pixels).astype(np.uint8))
