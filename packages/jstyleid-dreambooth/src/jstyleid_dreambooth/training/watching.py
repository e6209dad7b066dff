"""Where a training says how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Watcher(Protocol):
    """A display; any progress display of a command line will do."""

    def note(self, text: str) -> None:
        """Say something once."""
        ...

    def preparing(self, what: str, done: int, total: int) -> None:
        """Something before the steps: encoding samples."""
        ...

    def stage(self, name: str, steps: int, evaluations: int) -> None:
        """A stage of so many steps begins; a UNet evaluation forward and back counts as three."""
        ...

    def step(self, detail: str = "") -> None:
        """A step of the stage is done; the detail is its loss and rate."""
        ...

    def validated(self, step: int, pictures: Sequence[Path]) -> None:
        """Validation pictures of this step have been written."""
        ...
