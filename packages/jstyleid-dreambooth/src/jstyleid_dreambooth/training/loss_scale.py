"""Loss scaling (Micikevicius et al. 2018, section 3.2): float16 loses gradients below 6e-8."""

from __future__ import annotations

import math
from dataclasses import dataclass

_LARGEST, _SMALLEST = 2.0**16, 1.0
_PATIENCE = 200


@dataclass
class LossScale:
    """A factor that is halved when a gradient overflows and doubled after a calm while.

    Attributes:
        value: what the loss is multiplied by, a power of two, so that dividing is exact.
        calm: steps since it last changed.
    """

    value: float = 2.0**12
    calm: int = 0

    def too_large(self, loss: float, norm: float) -> bool:
        """Learn from a step; True asks to repeat it with the smaller scale.

        A loss that is itself not finite is no fault of the scale.
        """
        if math.isfinite(loss) and not math.isfinite(norm) and self.value > _SMALLEST:
            self.value, self.calm = self.value / 2, 0
            return True
        self.calm += 1
        if self.calm >= _PATIENCE and self.value < _LARGEST:
            self.value, self.calm = self.value * 2, 0
        return False
