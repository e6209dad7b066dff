"""Whether a LoRA is there already."""

from __future__ import annotations

from pathlib import Path

from jstyleid_core.errors import CheckpointError
from jstyleid_dreambooth.lora.files import read_lora
from jstyleid_dreambooth.lora.files.writing import FILE_NAME
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_dreambooth.training.recipe import digest


def lora_file(job: TrainingJob) -> Path:
    """Where a job's LoRA is written when it is finished."""
    return job.folder / FILE_NAME


def finished_lora(job: TrainingJob, model: str) -> Path | None:
    """The job's LoRA, if it is finished and made by this very recipe.

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
    return path if about.get("recipe") == digest(job.recipe(model)) else None
