"""Masks: the part of a picture that takes the style."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from typing_extensions import Self


@dataclass(frozen=True, eq=False)
class Mask:
    """How much each pixel takes of the style.

    Attributes:
        weights: (H, W) float32 from 0, the pixel keeps the content, to 1, it takes the style.
    """

    weights: NDArray[np.float32]

    @classmethod
    def of(cls, image: Image.Image) -> Self:
        """The mask in a picture: white takes the style, black does not, greys between."""
        return cls(np.asarray(image.convert("L"), np.float32) / 255)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.weights.shape[1], self.weights.shape[0]

    def means(self, pixels: int) -> NDArray[np.float32]:
        """(H / pixels, W / pixels) float32: the mean over the pixels of each latent or token."""
        height, width = self.weights.shape
        blocks = self.weights.reshape(height // pixels, pixels, width // pixels, pixels)
        return blocks.mean(axis=(1, 3), dtype=np.float32)
