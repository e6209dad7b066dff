"""Checkpoints of a training: with one, it goes on as if it had never stopped, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jstyleid_core.errors import InputError
from jstyleid_core.files import atomic_path
from jstyleid_dreambooth.training.recipe import Recipe

KEPT = 2
"""Checkpoints that are kept; older ones are removed."""
_KEY = "training"
_HISTORY = "history"


@dataclass(frozen=True)
class TrainingState:
    """A training between two steps. What is drawn at random follows from the step's number.

    Attributes:
        recipe: of the training.
        step: how many are done.
        tensors: the LoRA's values and the optimizer's means, by name.
        scale: value and age of the loss scale, if there is one.
        history: (step, 3) loss, gradient norm and learning rate of each step.
    """

    recipe: Recipe
    step: int
    tensors: Mapping[str, NDArray[np.float32]]
    scale: tuple[float, int] | None
    history: NDArray[np.float64]

    def save(self, folder: Path) -> Path:
        """Write `step-000100.safetensors` into `folder`, whole or not at all; drop old ones."""
        path = folder / f"step-{self.step:06}.safetensors"
        described = {"recipe": self.recipe, "step": self.step, "scale": self.scale}
        with atomic_path(path) as temporary:
            save_file({**self.tensors, _HISTORY: self.history}, temporary,
                      metadata={_KEY: json.dumps(described)})
        for old in checkpoints(folder)[:-KEPT]:
            old.unlink()
        return path


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def load_state(path: Path) -> TrainingState:
    """Read a checkpoint.

    Raises:
        InputError: the file is damaged or no checkpoint.
    """
    try:
        with safe_open(path, framework="numpy") as opened:
            described: dict[str, Any] = json.loads(opened.metadata()[_KEY])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        history = tensors.pop(_HISTORY)
        scale = described["scale"]
        return TrainingState(described["recipe"], described["step"], tensors,
                             (scale[0], scale[1]) if scale else None, history)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: not a checkpoint of a training, or damaged ({error}). Remove the file: the "
            "training then goes on from the one before."
        ) from error
