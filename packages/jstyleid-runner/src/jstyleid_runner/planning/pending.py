"""The pending work of a plan, and conflicts with pictures that are in the folder."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jstyleid_core.differences import differences
from jstyleid_core.errors import InputError
from jstyleid_dreambooth.training.checkpoints import finished_lora, lora_file
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_dreambooth.training.prior import ClassImages, class_images, read_latents
from jstyleid_runner.planning.jobs import (
    EncodeClassImages,
    GenerateClassImage,
    GenerateImage,
    Job,
    TransferStyle,
)
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
    style_inputs,
)
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClassImagesPending:
    """The pending work on class images; none where no training is pending.

    Attributes:
        images: all class images with their paths.
        to_generate: jobs of the images that are missing.
        encode: job of the latents, if they are missing.
    """

    images: ClassImages
    to_generate: tuple[GenerateClassImage, ...] = ()
    encode: EncodeClassImages | None = None

    @property
    def evaluations(self) -> int:
        """UNet evaluations left."""
        return sum(job.evaluations for job in self.to_generate)


def find_pending_class_images(
    plan: Plan, folder: OutFolder, settings: RunSettings, model: str, needed: bool
) -> ClassImagesPending | None:
    """Compare the class images in `folder` with what `plan` asks for.

    They are files of the run, as contents are: damaged ones are made again without asking.

    Args:
        plan: plan of the run.
        folder: folder of the run.
        settings: settings of the run.
        model: the checkpoint's fingerprint.
        needed: whether a LoRA is to be trained.

    Returns:
        None where no training takes class images.
    """
    if plan.class_images is None or settings.training is None:
        return None
    objects = next(style.train.objects for style in plan.styles if style.train)
    images = class_images(settings.training, objects, folder.class_images, model, settings.dtype,
                          settings.backend)  # fmt: skip
    if not needed or _has_latents(images):
        return ClassImagesPending(images)
    to_generate = tuple(
        job
        for job, image, path in zip(
            plan.class_images.images, images.images, images.paths, strict=True
        )
        if not matches(path, image.provenance)
    )
    return ClassImagesPending(images, to_generate, plan.class_images.encode)


def _has_latents(images: ClassImages) -> bool:
    try:
        read_latents(images.latents, len(images.images))
    except InputError:
        return False
    return True


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
        class_images_pending: pending class images; None where no training takes any.
    """

    work: tuple[StylePending, ...]
    class_images_pending: ClassImagesPending | None
    done: int
    conflicts: tuple[Conflict, ...]

    @property
    def evaluations(self) -> int:
        """UNet evaluations left."""
        shared = self.class_images_pending.evaluations if self.class_images_pending else 0
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
    class_images_pending = find_pending_class_images(plan, folder, settings, model, training)
    done = plan.pictures - sum(len(style.pending) for style in work)
    return PendingWork(work, class_images_pending, done, tuple(conflicts))


def _find_pending_of_style(
    style: StylePlan, folder: OutFolder, settings: RunSettings, model: str,
    training: TrainingJob | None, conflicts: list[Conflict],
) -> StylePending:
    parts = style_inputs(style, settings, training, model)
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
