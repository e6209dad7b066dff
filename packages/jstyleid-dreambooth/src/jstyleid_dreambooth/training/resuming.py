"""What a job's folder holds of a training: something to go on from, or something in the way."""

from __future__ import annotations

from dataclasses import dataclass, field

from jstyleid_dreambooth.training.finished import lora_file
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_dreambooth.training.recipe import obstacles
from jstyleid_dreambooth.training.state import TrainingState, checkpoints, load_state


@dataclass(frozen=True)
class Found:
    """What is there of a training that is not finished.

    Attributes:
        state: its last checkpoint, if there is one.
        obstacles: why the job cannot go on from it, if it cannot.
    """

    state: TrainingState | None = None
    obstacles: list[str] = field(default_factory=list)


def find_training(job: TrainingJob, model: str) -> Found:
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
        return Found(obstacles=[f"{lora.name} is from another training"] if lora.exists() else [])
    state = load_state(paths[-1])
    changes = obstacles(state.recipe, job.recipe(model))
    if state.step > job.settings.steps:
        changes.append(f"steps: {state.step} done there, {job.settings.steps} now")
    return Found(state, changes)
