"""The pending work of a plan, and conflicts with pictures that are in the folder."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jstyleid_core.differences import differences
from jstyleid_dreambooth.training.checkpoints import finished_lora, lora_file
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_runner.planning.jobs import GenerateImage, Job, SharedPending, TransferStyle
from jstyleid_runner.planning.plan import Plan, StylePlan
from jstyleid_runner.planning.provenance import (
    DamagedError,
    NotOursError,
    Provenance,
    StyleInputs,
    content_provenance,
    matches,
    picture_provenance,
    read_provenance,
)
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.records import HashedFile, digests, lora_record

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PendingImage:
    """A picture to make: its jobs, what will be recorded of them, and whether to draw first."""

    generate: GenerateImage
    content_provenance: Provenance
    to_generate: bool
    transfer: TransferStyle | None
    picture_provenance: Provenance


@dataclass(frozen=True)
class StylePending:
    """The pending work of one style; none if `pending` is empty.

    Attributes:
        batch_mates: finished pictures without their contents; the contents are generated again,
            for pending pictures of their group are computed together with them.
        training: the LoRA to train first.
        lora: the LoRA to draw with, where there is one already.
    """

    plan: StylePlan
    pending: tuple[PendingImage, ...]
    batch_mates: tuple[PendingImage, ...]
    training: TrainingJob | None
    lora: Path | None

    @property
    def lora_file(self) -> Path | None:
        """The LoRA to draw with, there already or after the training."""
        return lora_file(self.training) if self.training else self.lora

    @property
    def evaluations(self) -> int:
        """UNet evaluations of the pending pictures.

        The style is inverted only when a picture needs it.
        """
        if not self.pending:
            return 0
        jobs: list[Job | None] = [self.plan.invert, self.plan.train if self.training else None]
        jobs += [item.generate for item in self.batch_mates]
        for item in self.pending:
            jobs += [item.generate if item.to_generate else None, item.transfer]
        return sum(job.evaluations for job in jobs if job)


@dataclass(frozen=True)
class Conflict:
    """A picture in the way: under a name the plan needs, but not made as the plan says."""

    path: Path
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class PendingWork:
    """The state of a run's folder.

    Attributes:
        work: state of each style.
        shared: state of the jobs that all styles share, by kind.
        outputs: file of each job's output, by the job's id, whether the job is done or not; none
            for a job whose files the worker writes.
        done: number of results that are there.
        conflicts: pictures in the way.
    """

    work: tuple[StylePending, ...]
    shared: tuple[SharedPending, ...]
    outputs: Mapping[str, Path]
    done: int
    conflicts: tuple[Conflict, ...]

    @property
    def evaluations(self) -> int:
        """UNet evaluations left."""
        shared = sum(kind.evaluations for kind in self.shared)
        return shared + sum(work.evaluations for work in self.work)


def find_pending(
    plan: Plan,
    folder: OutFolder,
    settings: RunSettings,
    model: str,
    trainings: Mapping[str, TrainingJob | None],
) -> PendingWork:
    """Compare what a folder holds with what a plan asks for.

    Args:
        plan: plan of the run.
        folder: folder of the run.
        settings: settings of the run.
        model: the checkpoint's fingerprint.
        trainings: training of each style; None where its plan has none.
    """
    conflicts: list[Conflict] = []
    work = tuple(
        _find_pending_of_style(
            style, folder, settings, model, trainings[style.style], conflicts)
        for style in plan.styles
    )
    training = any(style.training for style in work)
    shared = tuple(kind.find_pending(folder, settings, model, training) for kind in plan.shared)
    outputs = {id: path for kind in shared for id, path in kind.outputs.items()}
    outputs |= {job.id: path for style in plan.styles for job in style.jobs
                if (path := job.output(folder))}
    done = plan.pictures - sum(len(style.pending) for style in work)
    return PendingWork(work, shared, outputs, done, tuple(conflicts))


def _find_pending_of_style(
    style: StylePlan, folder: OutFolder, settings: RunSettings, model: str,
    training: TrainingJob | None, conflicts: list[Conflict],
) -> StylePending:
    parts = _style_inputs(style, settings, training, model)
    pending: list[PendingImage] = []
    batch_mates: list[PendingImage] = []
    for group in style.groups:
        items = [_item(generate, transfer, settings, parts, model) for generate, transfer in group]
        there = [
            _is_done(folder.picture(style.style, item.generate.prompt),
                     item.picture_provenance, conflicts)
            for item in items
        ]
        if all(there):
            continue
        items = [_with_content(item, folder) for item in items]
        pending += [item for item, done in zip(items, there, strict=True) if not done]
        batch_mates += [
            item
            for item, done in zip(items, there, strict=True)
            if done and item.transfer and item.to_generate
        ]
    lora = style.images[0].lora
    if training and any(item.to_generate for item in (*pending, *batch_mates)):
        lora = finished_lora(training, model)
        training = None if lora else training
    else:
        training = None
    return StylePending(style, tuple(pending), tuple(batch_mates), training, lora)


def _style_inputs(
    plan: StylePlan, settings: RunSettings, training: TrainingJob | None, model: str
) -> StyleInputs:
    """The inputs of a style's pictures; `model` is the checkpoint's fingerprint."""
    generate = plan.images[0]
    start: str | Mapping[str, Any] = "noise"
    if generate.start:
        start = {"mean_of": digests(generate.start), "strength": settings.strength}
    lora: Mapping[str, Any] | None = None
    if generate.lora:
        lora = lora_record(generate.lora)
    elif training:
        lora = training.recipe(model)
    references = tuple(HashedFile.of(path) for path in plan.references)
    return StyleInputs(references, start, lora)


def _item(
    generate: GenerateImage, transfer: TransferStyle | None, settings: RunSettings,
    parts: StyleInputs, model: str,
) -> PendingImage:
    drawn = content_provenance(generate, settings, parts, model)
    return PendingImage(
        generate, drawn, True, transfer, picture_provenance(
            generate, transfer, drawn, parts, settings))


def _with_content(item: PendingImage, folder: OutFolder) -> PendingImage:
    """Contents are files of the run: one with another provenance is generated again."""
    content = folder.content(item.generate.style, item.generate.prompt)
    there = item.transfer is not None and matches(content, item.content_provenance)
    return replace(item, to_generate=not there)


def _is_done(path: Path, wanted: Provenance, conflicts: list[Conflict]) -> bool:
    try:
        found = read_provenance(path)
    except FileNotFoundError:
        return False
    except DamagedError as damage:
        log.warning("made again: %s", damage)
        return False
    except NotOursError:
        conflicts.append(Conflict(path))
        return False
    if found != wanted:
        conflicts.append(Conflict(path, tuple(differences(found, wanted))))
    return found == wanted
