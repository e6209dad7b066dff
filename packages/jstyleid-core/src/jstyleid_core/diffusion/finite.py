"""Numbers that are not finite never become a picture: they are refused where they began."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.errors import NumbersError, setting
from jstyleid_core.runtime.jittor import Var


def require_finite(values: NDArray[Any], what: str, source: str) -> None:
    """Refuse values with one that is not finite.

    Args:
        values: of any shape.
        what: what has computed them.
        source: the checkpoint, as the user named it.

    Raises:
        NumbersError: one is infinite or not a number.
    """
    if not np.isfinite(values).all():
        raise NumbersError(
            f"{what} has led to numbers that are not finite, so there is no picture. Are the "
            f"weights of {source} and of the LoRAs whole? {setting('dtype')} float32 has the "
            "widest range.")


class FiniteSteps:
    """The latents after each step, to find the first step whose numbers are not finite.

    To look at numbers is to wait for the card. So the first step, in which most faults show, is
    looked at when it is done, and the others together at the end.

    Args:
        what: what the steps make up.
        count: number of steps.
        source: the checkpoint, as the user named it.
    """

    def __init__(self, what: str, count: int, source: str) -> None:
        self._what, self._count, self._source = what, count, source
        self._latents: list[Var] = []

    def add(self, latents: Var) -> None:
        """Take the latents (B, 4, h, w) after the next step.

        Raises:
            NumbersError: it is the first step, and they are not finite.
        """
        self._latents.append(latents)
        if len(self._latents) == 1:
            self.check()

    def check(self) -> None:
        """Look at every step.

        Raises:
            NumbersError: the latents after one are not finite; the message says which.
        """
        for number, latents in enumerate(self._latents, 1):
            require_finite(latents.numpy(), f"step {number} of {self._count} of {self._what}",
                           self._source)
