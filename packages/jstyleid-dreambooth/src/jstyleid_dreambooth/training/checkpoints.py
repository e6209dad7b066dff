"""Checkpoints of a training, and the search for one, or a finished LoRA, in a job's folder.

With a checkpoint a training goes on as if it had never stopped, bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, FiniteFloat, field_validator
from safetensors.numpy import save

from jstyleid_core.errors import CheckpointError, InputError
from jstyleid_core.files import write_whole
from jstyleid_core.weights.tensors import load_tensors
from jstyleid_dreambooth.lora.files import read_lora
from jstyleid_dreambooth.lora.files.writing import FILE_NAME
from jstyleid_dreambooth.lora.weights import as_float32
from jstyleid_dreambooth.training.job import (
    TrainingJob,
    TrainingRecipe,
    recipe_changes,
    recipe_digest,
)

_KEY = "training"
_HISTORY = "history"


@dataclass(frozen=True)
class TrainingState:
    """The state of a training between two steps. Random numbers follow from the step's number.

    Attributes:
        recipe: recipe of the training.
        step: number of steps done.
        tensors: the LoRA's values and the optimizer's means, by name.
        scale: value and age of the loss scale, if any.
        history: (step, 3) loss, gradient norm and learning rate of each step.
    """

    recipe: TrainingRecipe
    step: int
    tensors: Mapping[str, NDArray[np.float32]]
    scale: tuple[float, int] | None
    history: NDArray[np.float64]

    def save(self, folder: Path, keep: int = 2) -> Path:
        """Write `step-000100.safetensors` into `folder`, whole or not at all.

        Args:
            folder: folder of the checkpoints.
            keep: number of checkpoints to keep there, at least 1; older ones are removed.

        Raises:
            OutputError: it cannot be written.
        """
        path = folder / f"step-{self.step:06}.safetensors"
        described = {"recipe": self.recipe, "step": self.step, "scale": self.scale}
        write_whole(path, save({**self.tensors, _HISTORY: self.history},
                               metadata={_KEY: json.dumps(described)}))
        for old in checkpoints(folder)[:-keep]:
            old.unlink()
        return path


class _Described(BaseModel):
    """The JSON in a checkpoint's header."""

    recipe: dict[str, Any]
    step: int = Field(strict=True, ge=0)
    scale: tuple[FiniteFloat, int] | None

    @field_validator("recipe")
    @classmethod
    def _has_settings(cls, recipe: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(recipe.get("settings"), dict):
            raise ValueError("it has no settings")
        return recipe


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def load_state(path: Path) -> TrainingState:
    """Read a checkpoint.

    Raises:
        InputError: the file is damaged or no checkpoint.
    """
    try:
        tensors, header = load_tensors(path)
        described = _Described.model_validate_json(header[_KEY])
        history = tensors.pop(_HISTORY)
        if history.shape != (described.step, 3):
            raise ValueError(f"{described.step} steps, and figures of shape {history.shape}")
        return TrainingState(described.recipe, described.step,
                             {name: as_float32(values) for name, values in tensors.items()},
                             described.scale, history.astype(np.float64))
    except (CheckpointError, KeyError, ValueError) as error:
        raise InputError(
            f"{path}: not a checkpoint of a training, or damaged ({error}). Remove the file: the "
            "training then goes on from the one before."
        ) from error


@dataclass(frozen=True)
class FoundTraining:
    """An unfinished training in a job's folder.

    Attributes:
        state: the last checkpoint, if there is one.
        changes: differences of the recipe for which the job cannot be continued; none if it can.
    """

    state: TrainingState | None = None
    changes: list[str] = field(default_factory=list)


def find_training(job: TrainingJob, model: str) -> FoundTraining:
    """Look into the folder of a job that is not finished.

    Args:
        job: the training.
        model: the checkpoint's fingerprint.

    Raises:
        InputError: the last checkpoint there is damaged.
    """
    paths = checkpoints(job.folder / "checkpoints")
    if not paths:
        lora = lora_file(job)
        other = [f"{lora.name} is from another training"] if lora.exists() else []
        return FoundTraining(changes=other)
    state = load_state(paths[-1])
    changes = recipe_changes(state.recipe, job.recipe(model))
    if state.step > job.settings.steps:
        changes.append(f"steps: {state.step} done there, {job.settings.steps} now")
    return FoundTraining(state, changes)


def lora_file(job: TrainingJob) -> Path:
    """The file of a job's finished LoRA."""
    return job.folder / FILE_NAME


def finished_lora(job: TrainingJob, model: str) -> Path | None:
    """The job's LoRA, if finished and made by the same recipe.

    Args:
        job: the training.
        model: the checkpoint's fingerprint.
    """
    path = lora_file(job)
    if not path.exists():
        return None
    try:
        about = read_lora(path).about
    except CheckpointError:
        return None  # damaged: it is written again, from the last checkpoint
    return path if about.get("recipe") == recipe_digest(job.recipe(model)) else None
