"""The noise schedule and its DDIM timesteps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.config import ScheduleConfig
from jstyleid_core.errors import InputError


@dataclass(frozen=True)
class Schedule:
    """alpha-bar of every training timestep, and the timesteps that n steps of DDIM visit."""

    alphas_cumprod: NDArray[Any]
    """(T,) float64, the product of 1 - beta up to each timestep (Ho et al. 2020, equation 4)."""
    final_alpha_cumprod: float
    """alpha-bar of the step below the first: 1 or that of timestep 0, by the checkpoint."""
    steps_offset: int
    trailing: bool = False
    """Whether the noisiest timestep of n steps is the last one (Lin et al. 2024, section 3.3)."""

    @classmethod
    def from_config(cls, config: ScheduleConfig) -> Schedule:
        """Build the schedule a checkpoint was trained with."""
        count = config.num_train_timesteps
        if config.beta_schedule == "linear":
            betas = np.linspace(config.beta_start, config.beta_end, count)
        else:  # linear in the square root, as Stable Diffusion
            betas = np.linspace(config.beta_start**0.5, config.beta_end**0.5, count) ** 2
        alphas_cumprod = np.cumprod(1 - betas)
        if config.rescale_betas_zero_snr:
            alphas_cumprod = _zero_terminal_snr(alphas_cumprod)
        final = 1.0 if config.set_alpha_to_one else float(alphas_cumprod[0])
        return cls(alphas_cumprod, final, config.steps_offset,
                   config.timestep_spacing == "trailing")

    def stride(self, steps: int, name: str = "steps") -> int:
        """Training timesteps between two steps of DDIM.

        Args:
            steps: number of steps.
            name: name of the setting, for messages.

        Raises:
            InputError: `steps` is not between 1 and the number of training timesteps.
        """
        count, offset = len(self.alphas_cumprod), 0 if self.trailing else self.steps_offset
        longest = count - offset
        if not 1 <= steps <= longest:
            raise InputError(f"{name} = {steps}: must be between 1 and {longest} for this "
                             "checkpoint. Give another number.", fields=[name])
        stride = count // steps
        if (last := (steps - 1) * stride + offset) >= count:
            raise InputError(
                f"{name} = {steps}: the noisiest timestep would be {last}, of {count}, by the "
                f"checkpoint's steps_offset = {offset}. Give another number of steps.",
                fields=[name])
        return stride

    def timesteps(self, steps: int) -> list[int]:
        """The timesteps of `steps` steps, from clean to noisy: i * stride + offset.

        Trailing ones are T (i + 1) / steps - 1, rounded to even.
        """
        stride = self.stride(steps)
        if self.trailing:
            count = len(self.alphas_cumprod)
            return [int(np.round(count - i * (count / steps))) - 1 for i in reversed(range(steps))]
        return [i * stride + self.steps_offset for i in range(steps)]

    def alpha_bar(self, timestep: int) -> float:
        """alpha-bar at a timestep; below 0 it is `final_alpha_cumprod`."""
        return self.final_alpha_cumprod if timestep < 0 else float(self.alphas_cumprod[timestep])


def _zero_terminal_snr(alphas_cumprod: NDArray[Any]) -> NDArray[Any]:
    """alpha-bar moved and stretched so that the last is 0 (Lin et al. 2024, algorithm 1)."""
    root = np.sqrt(alphas_cumprod)
    return ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2


def taken_steps(steps: int, strength: float) -> int:
    """The number of DDIM steps that a strength leaves to take (see `InitialLatents`).

    Raises:
        InputError: none would be left, or the strength is not in (0, 1].
    """
    taken = int(steps * strength) if 0 < strength <= 1 else 0
    if taken < 1:
        raise InputError(
            f"strength = {strength} with {steps} steps: the strength must be above 0 and at most "
            "1, and their product at least 1",
            fields=["strength"],
        )
    return taken
