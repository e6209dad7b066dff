"""What one gradient is computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.runtime.jittor import Var


@dataclass(frozen=True)
class Batch:
    """Latents with the noise, the timesteps and the texts that are drawn for them.

    Attributes:
        latents: (B, 4, h, w) float32, clean and scaled.
        noise: (B, 4, h, w) float32, standard normal.
        timesteps: (B,) integers in [0, 1000).
        context: (B, 77, C) text embeddings; None where the text encoder is trained too.
        weights: (B,) of each example in the loss: 1 / B for samples alone.
        tokens: (B, 77) token ids, for a text encoder that is trained.
    """

    latents: NDArray[np.float32]
    noise: NDArray[np.float32]
    timesteps: NDArray[np.int64]
    context: Var | None
    weights: NDArray[np.float32]
    tokens: NDArray[np.int32] | None = None
