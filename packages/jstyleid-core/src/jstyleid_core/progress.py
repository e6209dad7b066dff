"""The interface by which long work reports its progress, whatever displays or forwards it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Preparing = Callable[[str, int, int], None]
"""Takes the name of a preparation, such as compiling, its part that is done, and the whole."""

OnStep = Callable[[], None]
"""Is called after each step of a sampling, an inversion or a transfer."""

OnPrediction = Callable[[Any], None]
"""Takes the predicted clean latents (B, 4, h, w) after each step towards a picture."""


class Progress(Protocol):
    """The progress of work that consists of stages, and of stages that consist of steps."""

    def note(self, text: str) -> None:
        """Report something once."""
        ...

    def preparing(self, what: str, done: int, total: int) -> None:
        """Report a preparation; the method is a `Preparing`."""
        ...

    def stage(self, name: str, steps: int, evaluations: int) -> None:
        """Begin a stage.

        Args:
            name: name of the stage.
            steps: number of its steps.
            evaluations: UNet evaluations of all its steps, one image each; an evaluation forward
                and back, in a training, counts as three.
        """
        ...

    def step(self, detail: str = "") -> None:
        """Report that a step of the stage is done, with its figures, such as the loss."""
        ...


class Silent:
    """A `Progress` that shows nothing."""

    def note(self, text: str) -> None:
        """Report something once."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """Report a preparation."""

    def stage(self, name: str, steps: int, evaluations: int) -> None:
        """Begin a stage."""

    def step(self, detail: str = "") -> None:
        """Report that a step of the stage is done."""
