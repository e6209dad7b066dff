"""`jstyleid train`: a LoRA for each style or for a pack of styles, trained without workers."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jstyleid_core.errors import InputError
from jstyleid_core.runtime import DType
from jstyleid_dreambooth.prompts import DRAWING_TEMPLATE, fill
from jstyleid_dreambooth.training.checkpoints import find_training, finished_lora
from jstyleid_dreambooth.training.dataset import check_samples
from jstyleid_dreambooth.training.job import StyleImages, TrainingJob
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.planning.limits import size_multiple_of
from jstyleid_runner.planning.monitoring import Monitoring
from jstyleid_runner.planning.plan import training_job
from jstyleid_runner.reports.progress import Display
from jstyleid_runner.storage.layout import LoRAFolder, remove_folder
from jstyleid_runner.storage.records import ModelRecord, TrainRecord, known_fingerprint, versions
from jstyleid_runner.storage.split import Split
from jstyleid_runner.worker.engine import Trainer
from jstyleid_runner.workflows.model import ModelSource
from jstyleid_runner.workflows.session import RunCounts, logged

log = logging.getLogger(__name__)


def training_jobs(
    split: Split,
    settings: TrainingSettings,
    folder: LoRAFolder,
    *,
    packed: bool,
    objects: tuple[str, ...],
    monitoring: Monitoring,
) -> tuple[TrainingJob, ...]:
    """The trainings of the chosen styles.

    Args:
        split: the styles.
        settings: settings of every training.
        folder: folder for the LoRAs.
        packed: whether all styles together get one LoRA.
        objects: objects of the whole split, where the training takes them.
        monitoring: what they show and keep on their way.
    """
    groups = [split.styles] if packed else [(style,) for style in split.styles]
    jobs = []
    for group in groups:
        styles = tuple(StyleImages.read(style.id, style.references) for style in group)
        usual = {style.id: [(prompt, fill(DRAWING_TEMPLATE, prompt=prompt, style=style.id))
                            for prompt in style.prompts] for style in group}
        jobs.append(monitoring.of(training_job(styles, settings, folder, objects), usual))
    return tuple(jobs)


class DisplayedTraining:
    """The `Progress` of one training.

    Args:
        display: the display.
        evaluations: announced cost of the training.
    """

    def __init__(self, display: Display, evaluations: int) -> None:
        self._display = display
        self._announced = evaluations

    def note(self, text: str) -> None:
        """Say something once."""
        self._display.note(text)

    def preparing(self, what: str, done: int, total: int) -> None:
        """Something before the steps, or between two."""
        self._display.preparing(what, done, total)

    def stage(self, name: str, steps: int, evaluations: int) -> None:
        """A stage begins; only now it is known what it costs.

        There may be pictures to draw first, and steps that were done before a stop.
        """
        self._display.revise(evaluations - self._announced)
        self._announced = 0
        self._display.stage(name, steps, evaluations)

    def step(self, detail: str = "") -> None:
        """A step of the stage is done."""
        self._display.step(detail)


@dataclass(frozen=True)
class TrainRequest:
    """LoRAs to train, all with the same settings, and their folder."""

    jobs: tuple[TrainingJob, ...]
    folder: LoRAFolder
    dtype: DType = "auto"
    force: bool = False


def train_loras(
    request: TrainRequest, model: ModelSource, display: Display, counts: RunCounts
) -> list[Path]:
    """Train every LoRA that is not finished, and return the files of all.

    Raises:
        InputError: a folder holds a LoRA that was trained otherwise, or a sample is unusable.
        TrainingError: a training went wrong.
    """
    jobs, folder = request.jobs, request.folder
    counts.total = len(jobs)
    multiple = size_multiple_of(model.source)
    for job in jobs:
        check_samples(job.examples(), job.settings, multiple)
    folder.remove_hidden_leftovers()
    stamp = model.stamp()
    opened: Trainer | None = None
    fingerprint = known_fingerprint(TrainRecord.read(folder.record), stamp)
    if fingerprint is None:
        opened = model.open_trainer(request.dtype, jobs[0].settings)
        # Again, because opening may have downloaded the files.
        stamp, fingerprint = model.stamp(), opened.fingerprint
    finished = {job.name: finished_lora(job, fingerprint) for job in jobs}
    left = [job for job in jobs if finished[job.name] is None]
    _make_room(left, fingerprint, request.force)
    counts.done = len(jobs) - len(left)
    log.info("%d LoRAs, %d there already; %s", len(jobs), counts.done, jobs[0].settings)
    evaluations = sum(job.settings.evaluations for job in left)
    display.begin(len(jobs), counts.done, evaluations, "LoRAs")
    TrainRecord(
        model=ModelRecord(source=str(model.source), stamp=stamp, fingerprint=fingerprint),
        versions=versions(),
    ).write(folder.record)
    for job in left:
        opened = opened or model.open_trainer(request.dtype, job.settings)
        progress = DisplayedTraining(display, job.settings.evaluations)
        with logged(f"lora/{job.name}"):
            file = opened.train(job, progress)
        finished[job.name] = file
        counts.done += 1
        display.finished(file)
    return [path for path in finished.values() if path]


def _make_room(jobs: Sequence[TrainingJob], model: str, force: bool) -> None:
    """Remove LoRAs that were trained otherwise, if that is wished for.

    Raises:
        InputError: it is not.
    """
    found = [(job, find_training(job, model).changes) for job in jobs]
    others = [(job, changes) for job, changes in found if changes]
    if others and not force:
        listed = "\n".join(
            f"{job.folder}: its LoRA was trained with other settings:\n"
            + "\n".join(f"  {change}" for change in changes)
            for job, changes in others
        )
        raise InputError(
            f"{listed}\nChoose another --out, or give --force to remove what is there and train "
            "anew.",
            fields=["out", "force"],
        )
    for job, changes in others:
        log.warning("%s: removed: %s", job.folder, "; ".join(changes))
        remove_folder(job.folder)
