"""AdamW (Loshchilov and Hutter 2019, algorithm 2).

Jittor's own class counts two steps for each, which spoils the bias correction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jstyleid_core.runtime.jittor import Var, jt
from jstyleid_dreambooth.training.settings import TrainingSettings


class AdamW:
    """Moves variables against their gradients, each at its own rate.

    Attributes:
        variables: float32; they are changed in place and keep their gradients on.
        factors: of each variable's learning rate.
        first, second: running means of the gradients and of their squares.
        steps: taken so far.
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
