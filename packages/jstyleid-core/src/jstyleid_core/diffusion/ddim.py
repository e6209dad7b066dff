"""DDIM (Song et al. 2021): sampling from noise to picture, and inversion from picture to noise.

Both are generators that yield after each step, so that progress, previews and stopping early are
up to the caller. Every step is executed before the yield.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jstyleid_core.diffusion.denoiser import Denoiser, Prediction
from jstyleid_core.diffusion.schedule import Schedule
from jstyleid_core.runtime.jittor import Var


@dataclass(frozen=True)
class Step:
    """The state after one step."""

    timestep: int
    """Timestep of the network's evaluation."""
    latents: Var
    x0: Var
    """The clean latents predicted in this step."""


Inversion = Callable[[Denoiser, Var, Schedule, int], Iterator[Step]]
"""An inversion of latents to t = T, such as `ddim_inversion`."""


def ddim_sampling(
    denoise: Denoiser, latents: Var, schedule: Schedule, steps: int, taken: int | None = None
) -> Iterator[Step]:
    """Deterministic DDIM (eta = 0, equation 12), from t = T down.

    Args:
        denoise: evaluated once a step.
        latents: (B, 4, h, w) at the noisiest timestep.
        schedule: the checkpoint's noise schedule.
        steps: number of DDIM steps.
        taken: number of steps that are taken, the last ones, from less noise on; all by default.

    Yields:
        One `Step` per timestep, the noisiest first; the last one holds the result.
    """
    stride = schedule.stride(steps)
    for timestep in reversed(schedule.timesteps(steps)[:taken]):
        alpha_bar = schedule.alpha_bar(timestep)
        prediction = denoise(latents, timestep, alpha_bar)
        latents = _noised(prediction, schedule.alpha_bar(timestep - stride))
        latents.sync()
        yield Step(timestep, latents, prediction.x0)


def ddim_inversion(
    denoise: Denoiser, latents: Var, schedule: Schedule, steps: int
) -> Iterator[Step]:
    """DDIM run backwards, from clean latents up to t = T.

    At each timestep t the network is evaluated at t on the latents that belong one stride below,
    as if the noise hardly changed from one to the other.

    Args:
        denoise: evaluated once a step.
        latents: (B, 4, h, w), clean.
        schedule: the checkpoint's noise schedule.
        steps: number of DDIM steps.

    Yields:
        One `Step` per timestep, the cleanest first; the last one holds the inverted latents.
    """
    stride = schedule.stride(steps)
    for timestep in schedule.timesteps(steps):
        below = schedule.alpha_bar(max(0, timestep - stride))
        prediction = denoise(latents, timestep, below)
        latents = _noised(prediction, schedule.alpha_bar(timestep))
        latents.sync()
        yield Step(timestep, latents, prediction.x0)


def fixed_point_inversion(evaluations: int) -> Inversion:
    """DDIM run backwards by fixed point iteration (ReNoise, Garibi et al., ECCV 2024, equation 5).

    A step of sampling goes from z_t to the latents one stride below by the noise predicted at z_t.
    Its inverse is the fixed point of

        z_t = sqrt(a_t) (z_below - sqrt(1 - a_below) e(z_t)) / sqrt(a_below) + sqrt(1 - a_t) e(z_t)

    which is iterated, as AttenST (2025) does, from the step of `ddim_inversion` on.

    Args:
        evaluations: evaluations of the network a step, the first of which is `ddim_inversion`'s.

    Returns:
        The inversion; it yields one `Step` per timestep, the cleanest first.
    """

    def invert(
        denoise: Denoiser, latents: Var, schedule: Schedule, steps: int
    ) -> Iterator[Step]:
        stride = schedule.stride(steps)
        for timestep in schedule.timesteps(steps):
            below, above = (schedule.alpha_bar(max(0, timestep - stride)),
                            schedule.alpha_bar(timestep))
            prediction = denoise(latents, timestep, below)
            noisier = _noised(prediction, above)
            for _ in range(evaluations - 1):
                noise = denoise(noisier, timestep, above).noise
                x0 = (latents - (1 - below) ** 0.5 * noise) / below**0.5
                prediction = Prediction(x0, noise)
                noisier = _noised(prediction, above)
            latents = noisier
            latents.sync()
            yield Step(timestep, latents, prediction.x0)

    return invert


def _noised(prediction: Prediction, alpha_bar: float) -> Var:
    return alpha_bar**0.5 * prediction.x0 + (1 - alpha_bar) ** 0.5 * prediction.noise
