"""Denoisers: the clean latent and the noise in a noisy one, for every kind of prediction.

Samplers see a callable `denoise(latents, timestep, alpha_bar) -> Prediction` and never ask which
parameterisation, guidance or network is behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jstyleid_core.config import PredictionType
from jstyleid_core.runtime.jittor import Var, jt

Network = Callable[[Var, int], Var]
"""(latents (B, 4, h, w), timestep) -> the prediction, of the same shape, float32."""


@dataclass(frozen=True)
class Prediction:
    """z = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) noise, taken apart."""

    x0: Var
    noise: Var


Denoiser = Callable[[Var, int, float], Prediction]


def epsilon_denoiser(network: Network) -> Denoiser:
    """A denoiser over a network that predicts the noise (Ho et al. 2020)."""

    def denoise(z: Var, timestep: int, alpha_bar: float) -> Prediction:
        noise = network(z, timestep)
        x0 = (z - (1 - alpha_bar) ** 0.5 * noise) / alpha_bar**0.5
        return Prediction(x0, noise)

    return denoise


def velocity_denoiser(network: Network) -> Denoiser:
    """A denoiser over a network that predicts v (Salimans and Ho 2022, appendix D)."""

    def denoise(z: Var, timestep: int, alpha_bar: float) -> Prediction:
        v = network(z, timestep)
        a, s = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        return Prediction(a * z - s * v, a * v + s * z)

    return denoise


DENOISERS: dict[PredictionType, Callable[[Network], Denoiser]] = {
    "epsilon": epsilon_denoiser,
    "v_prediction": velocity_denoiser,
}


def inside_mask(denoise: Denoiser, inside: Var, content: Mapping[int, Prediction]) -> Denoiser:
    """A denoiser that follows the content's own inversion outside of a mask.

    An inversion goes from one noise level to the next by its predictions, and the same
    predictions lead back. So the content comes out as the autoencoder draws it.

    Args:
        denoise: denoiser of the reversal.
        inside: (1, 1, h, w) from 0, outside, to 1.
        content: predictions of the content's inversion by timestep, each (B, 4, h, w).
    """

    def mixed(latents: Var, timestep: int, alpha_bar: float) -> Prediction:
        made, kept = denoise(latents, timestep, alpha_bar), content[timestep]
        return Prediction(inside * made.x0 + (1 - inside) * kept.x0,
                          inside * made.noise + (1 - inside) * kept.noise)

    return mixed


def guided(conditional_twice: Network, scale: float) -> Network:
    """Classifier-free guidance (Ho and Salimans 2022, equation 6) in one batch of twice the size.

    Args:
        conditional_twice: a network whose batch holds the unconditional half first.
        scale: 1 is no guidance.
    """

    def network(z: Var, timestep: int) -> Var:
        both = conditional_twice(jt.concat([z, z], dim=0), timestep)
        unconditional, conditional = both[: z.shape[0]], both[z.shape[0] :]
        return unconditional + scale * (conditional - unconditional)

    return network
