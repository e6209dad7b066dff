"""Training LoRAs from beginning to end: check, see what is there, load the model if need be."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jstyleid_core.errors import InputError
from jstyleid_core.images import open_image
from jstyleid_core.runtime import DType
from jstyleid_dreambooth.training.finished import finished_lora
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_dreambooth.training.resuming import find_training
from jstyleid_runner.reports.progress import Reporter
from jstyleid_runner.runlog import logged
from jstyleid_runner.storage.layout import LoRAFolder
from jstyleid_runner.storage.records import ModelRecord, TrainRecord, known_fingerprint, versions
from jstyleid_runner.tally import Tally
from jstyleid_runner.training_removal import remove_training
from jstyleid_runner.training_watch import TrainingWatch
from jstyleid_runner.worker.engine import Trainer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenedTrainer:
    """A loaded model that LoRAs can be trained on."""

    trainer: Trainer
    fingerprint: str


class TrainerSource(Protocol):
    """A checkpoint that is loaded only when there is something to train on it."""

    @property
    def source(self) -> str:
        """Folder or hub id."""
        ...

    def stamp(self) -> str | None:
        """A cheap sign that the files are unchanged; None where there is none."""
        ...

    def open_trainer(self, dtype: DType, size: tuple[int, int]) -> OpenedTrainer:
        """Load it, and check that it can be trained at this size."""
        ...


@dataclass(frozen=True)
class TrainRequest:
    """Which LoRAs to train, all with the same settings, and where."""

    jobs: tuple[TrainingJob, ...]
    folder: LoRAFolder
    dtype: DType = "auto"
    force: bool = False


def train_loras(
    request: TrainRequest, model: TrainerSource, reporter: Reporter, tally: Tally
) -> list[Path]:
    """Train every LoRA that is not finished, and return the files of all.

    Raises:
        InputError: a folder holds a LoRA that was trained otherwise, or a sample is unusable.
        TrainingError: a training went wrong.
    """
    jobs, folder = request.jobs, request.folder
    tally.total = len(jobs)
    for job in jobs:
        for image, _ in job.examples():
            open_image(image)
    folder.remove_shared_leftovers()
    stamp = model.stamp()
    opened: OpenedTrainer | None = None
    fingerprint = known_fingerprint(TrainRecord.read(folder.record), stamp)
    if fingerprint is None:
        opened = model.open_trainer(request.dtype, jobs[0].settings.size)
        # Again, because opening may have downloaded the files.
        stamp, fingerprint = model.stamp(), opened.fingerprint
    finished = {job.name: finished_lora(job, fingerprint) for job in jobs}
    left = [job for job in jobs if finished[job.name] is None]
    _make_room(left, fingerprint, request.force)
    tally.done = len(jobs) - len(left)
    log.info("%d LoRAs, %d there already; %s", len(jobs), tally.done, jobs[0].settings)
    evaluations = sum(job.settings.evaluations for job in left)
    reporter.begin(len(jobs), tally.done, evaluations, "LoRAs")
    TrainRecord(
        model=ModelRecord(source=model.source, stamp=stamp, fingerprint=fingerprint),
        versions=versions(),
    ).write(folder.record)
    for job in left:
        opened = opened or model.open_trainer(request.dtype, job.settings.size)
        samples = [image for style in job.styles for image in style.images]
        watch = TrainingWatch(reporter, job.settings.evaluations, samples)
        with logged(f"lora/{job.name}"):
            file = opened.trainer.train(job, watch)
        finished[job.name] = file
        tally.done += 1
        reporter.finished(file)
    return [path for path in finished.values() if path]


def _make_room(jobs: Sequence[TrainingJob], model: str, force: bool) -> None:
    """Remove LoRAs that were trained otherwise, if that is wished for.

    Raises:
        InputError: it is not.
    """
    found = [(job, find_training(job, model).obstacles) for job in jobs]
    others = [(job, changes) for job, changes in found if changes]
    if others and not force:
        listed = "\n".join(
            f"{job.folder}: its LoRA was trained with other settings:\n"
            + "\n".join(f"  {change}" for change in changes)
            for job, changes in others
        )
        raise InputError(
            f"{listed}\nChoose another --out, or give --force to remove what is there and train "
            "anew."
        )
    for job, changes in others:
        log.warning("%s: removed: %s", job.folder, "; ".join(changes))
        remove_training(job)
