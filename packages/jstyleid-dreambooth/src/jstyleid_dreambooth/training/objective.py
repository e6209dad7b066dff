"""What is minimised: the squared error of the predicted noise, or velocity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jstyleid_core import StableDiffusion
from jstyleid_core.runtime.jittor import Var, jt
from jstyleid_dreambooth.training.batch import Batch


def example_losses(model: StableDiffusion, batch: Batch) -> Var:
    """The mean squared error of each example, (B,).

    The target is the noise (Ho et al. 2020, equation 14) or, for a checkpoint with v-prediction,
    the velocity sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) x0 (Salimans and Ho 2022, appendix D).
    """
    signal, spread = _coefficients(model, batch.timesteps)
    noisy = signal * batch.latents + spread * batch.noise
    velocity = model.prediction_type == "v_prediction"
    target = signal * batch.noise - spread * batch.latents if velocity else batch.noise
    predicted = model.networks.predict(jt.array(noisy), batch.timesteps, _texts(model, batch))
    errors = predicted - jt.array(target)
    return (errors * errors).mean(dims=(1, 2, 3))


def _coefficients(
    model: StableDiffusion, timesteps: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar), each (B, 1, 1, 1)."""
    alpha_bar = model.schedule.alphas_cumprod[timesteps].reshape(-1, 1, 1, 1)
    return np.sqrt(alpha_bar).astype(np.float32), np.sqrt(1 - alpha_bar).astype(np.float32)


def _texts(model: StableDiffusion, batch: Batch) -> Var:
    if batch.tokens is not None:
        return model.networks.embed(jt.array(batch.tokens))
    return batch.context
