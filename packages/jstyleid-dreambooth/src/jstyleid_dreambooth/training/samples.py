"""Training pictures as latents: each goes through the VAE once, not at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

    from jstyleid_core import StableDiffusion


@dataclass(frozen=True)
class Posterior:
    """The VAE's answer to the cut-outs of one picture, scaled.

    Attributes:
        mean, deviation: (crops, 4, h, w) float32.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def sample(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Latents (4, h, w) of a cut-out, both drawn at random (Kingma and Welling 2014)."""
        crop = rng.integers(len(self.mean))
        noise = rng.standard_normal(self.mean.shape[1:], dtype=np.float32)
        return self.mean[crop] + self.deviation[crop] * noise


@dataclass(frozen=True)
class Samples:
    """Pictures with what they show, and their weight in the loss.

    Attributes:
        posteriors: one a picture.
        prompts: one a picture.
        weight: of all these pictures' mean error: 1, or lambda for class images.
    """

    posteriors: tuple[Posterior, ...]
    prompts: tuple[str, ...]
    weight: float


def encode(model: StableDiffusion, cut_outs: Sequence[Image.Image]) -> Posterior:
    """The posterior of cut-outs of one picture; one at a time, as the VAE needs much memory."""
    pairs = [model.posterior([image]) for image in cut_outs]
    means, deviations = zip(*((mean.numpy(), spread.numpy()) for mean, spread in pairs),
                            strict=True)
    return Posterior(np.concatenate(means), np.concatenate(deviations))
