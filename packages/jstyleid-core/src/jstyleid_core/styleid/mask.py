"""Masks: the part of a picture that takes the style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from typing_extensions import Self

from jstyleid_core.diffusion.denoiser import Denoiser, Prediction
from jstyleid_core.runtime.jittor import Var, jt


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

    def of_latents(self, pixels: int) -> Var:
        """(1, 1, H / pixels, W / pixels): the mean over the pixels of each latent."""
        return jt.array(self._means(pixels)[None, None])

    def of_tokens(self, pixels: int) -> Var:
        """(1, N, 1): the mean over the pixels x pixels pixels of each token."""
        return jt.array(self._means(pixels).reshape(1, -1, 1))

    def keep_outside(
        self, denoise: Denoiser, content: Mapping[int, Prediction], pixels: int
    ) -> Denoiser:
        """A denoiser that follows the content's own inversion outside of the mask.

        An inversion goes from one noise level to the next by its predictions, and the same
        predictions lead back. So the content comes out as the autoencoder draws it.

        Args:
            denoise: denoiser of the reversal.
            content: predictions of the content's inversion by timestep, each (B, 4, h, w).
            pixels: pixels of a latent.
        """
        inside = self.of_latents(pixels)

        def mixed(latents: Var, timestep: int, alpha_bar: float) -> Prediction:
            made, kept = denoise(latents, timestep, alpha_bar), content[timestep]
            return Prediction(inside * made.x0 + (1 - inside) * kept.x0,
                              inside * made.noise + (1 - inside) * kept.noise)

        return mixed

    def _means(self, pixels: int) -> NDArray[np.float32]:
        height, width = self.weights.shape
        blocks = self.weights.reshape(height // pixels, pixels, width // pixels, pixels)
        return blocks.mean(axis=(1, 3), dtype=np.float32)
