"""TensorBoard event files of a training."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jstyleid_core.images import open_image
from jstyleid_dreambooth.training.learner import StepResult

if TYPE_CHECKING:
    from collections.abc import Sequence


class Events:
    """Writes `train/loss`, `train/grad_norm`, `train/learning_rate` and validation pictures.

    Args:
        folder: TensorBoard's log folder; each session adds a file.
        done: steps there already; what a stopped session wrote beyond them is left out.
    """

    def __init__(self, folder: Path, done: int) -> None:
        # Slow to import, and only a training needs it.
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=done + 1 if done else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()

    def step(self, result: StepResult) -> None:
        """Write a step's figures."""
        for name in ("loss", "grad_norm", "learning_rate"):
            self._writer.add_scalar(f"train/{name}", getattr(result, name), result.step)

    def pictures(self, step: int, paths: Sequence[Path]) -> None:
        """Write validation pictures."""
        import numpy as np

        for path in paths:
            self._writer.add_image(f"validation/{path.stem}", np.asarray(open_image(path)), step,
                                   dataformats="HWC")
