"""The learning rate over the steps."""

from __future__ import annotations

import math

from jstyleid_dreambooth.training.settings import TrainingSettings


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """That of A at a step; the first step is 1.

    It rises over the first `warmup_steps` in a line and then stays, or falls along half a cosine
    to zero after the last step.
    """
    rate, warmup = settings.learning_rate, settings.warmup_steps
    if step <= warmup:
        return rate * step / (warmup + 1)
    if settings.schedule == "constant":
        return rate
    share = (step - 1 - warmup) / max(1, settings.steps - warmup)
    return rate * 0.5 * (1 + math.cos(math.pi * share))
