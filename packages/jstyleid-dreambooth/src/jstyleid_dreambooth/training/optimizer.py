"""AdamW (Loshchilov and Hutter 2019, algorithm 2), the learning rate and the loss scale.

Jittor's own AdamW counts two steps for each, which spoils the bias correction. The loss is scaled
(Micikevicius et al. 2018, section 3.2) because float16 loses gradients below 6e-8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jstyleid_core.runtime.jittor import Var, jt
from jstyleid_dreambooth.training.settings import TrainingSettings

_LARGEST, _SMALLEST = 2.0**16, 1.0
_PATIENCE = 200


class AdamW:
    """AdamW with a learning rate factor for each variable.

    Attributes:
        variables: float32 variables, changed in place; their gradients stay on.
        factors: factor of each variable's learning rate.
        first, second: running means of the gradients and of their squares.
        steps: number of steps taken.
    """

    def __init__(
        self, variables: Sequence[Var], factors: Sequence[float], settings: TrainingSettings
    ) -> None:
        self.variables, self.factors = list(variables), list(factors)
        self._settings = settings
        # From numpy: a lazy zero would be fused into the first step, which then is another kernel
        # than in a training that was resumed, and may round otherwise.
        self.first = [jt.array(np.zeros(var.shape, np.float32)) for var in variables]
        self.second = [jt.array(np.zeros(var.shape, np.float32)) for var in variables]
        self.steps = 0

    def step(self, gradients: Sequence[Var], learning_rate: float) -> None:
        """Take one step along the gradients, one for each variable."""
        settings = self._settings
        self.steps += 1
        # How far the running means, which begin at zero, are below the means (Kingma and Ba 2015).
        short_first = 1 - settings.beta1**self.steps
        short_second = 1 - settings.beta2**self.steps
        with jt.no_grad():
            for i, gradient in enumerate(gradients):
                rate = learning_rate * self.factors[i]
                first = settings.beta1 * self.first[i] + (1 - settings.beta1) * gradient
                second = (settings.beta2 * self.second[i]
                          + (1 - settings.beta2) * gradient * gradient)
                deviation = jt.sqrt(second) / short_second**0.5 + settings.epsilon
                moved = (self.variables[i] * (1 - rate * settings.weight_decay)
                         - rate / short_first * first / deviation)
                for var, value in ((self.first[i], first), (self.second[i], second),
                                   (self.variables[i], moved)):
                    var.assign(value)
            jt.sync([*self.variables, *self.first, *self.second])
        for var in self.variables:
            var.start_grad()


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """The learning rate of A at a step; the first step is 1.

    It rises linearly from zero over the first `warmup_steps`. Then it stays, or falls to zero after
    the last step: along a line, or along half a cosine (Loshchilov and Hutter 2017, equation 5,
    without restarts). The rates are those of diffusers' `get_scheduler`, whose name for a constant
    rate after a warm-up is `constant_with_warmup`.
    """
    rate, warmup, done = settings.learning_rate, settings.warmup_steps, step - 1
    if done < warmup:
        return rate * done / warmup
    share = (done - warmup) / max(1, settings.steps - warmup)
    match settings.schedule:
        case "constant":
            return rate
        case "linear":
            return rate * (1 - share)
        case "cosine":
            return rate * 0.5 * (1 + math.cos(math.pi * share))


@dataclass
class LossScale:
    """A factor that is halved when a gradient overflows and doubled after 200 steps without.

    Attributes:
        value: factor of the loss, a power of two, so that dividing is exact.
        calm: number of steps since the last change.
    """

    value: float = 2.0**12
    calm: int = 0

    def too_large(self, loss: float, norm: float) -> bool:
        """Adjust the scale after a step; True asks to repeat the step with the smaller scale.

        A loss that is itself not finite does not change the scale.
        """
        if math.isfinite(loss) and not math.isfinite(norm) and self.value > _SMALLEST:
            self.value, self.calm = self.value / 2, 0
            return True
        self.calm += 1
        if self.calm >= _PATIENCE and self.value < _LARGEST:
            self.value, self.calm = self.value * 2, 0
        return False
