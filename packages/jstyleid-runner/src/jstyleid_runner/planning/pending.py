"""What is left of a plan, and the files in the folder that must not be overwritten."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from jstyleid_core.differences import differences
from jstyleid_core.errors import InputError
from jstyleid_dreambooth.training.class_images import ClassImages, class_images
from jstyleid_dreambooth.training.class_samples import read_latents
from jstyleid_dreambooth.training.finished import finished_lora, lora_file
from jstyleid_dreambooth.training.job import TrainingJob
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
    Facts,
    Ingredients,
    NotOursError,
    carries,
    content_facts,
    ingredients,
    picture_facts,
    read_facts,
    training_job,
)
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder

log = logging.getLogger(__name__)

@dataclass(frozen=True)
class ClassWork:
    """The class images of a run; nothing is left of them where no training is.

    Attributes:
        images: all of them, and where they are.
        undrawn: the jobs of those to be drawn.
        encode: the job of their latents, where these are to be made.
    """

    images: ClassImages
    undrawn: tuple[GenerateClassImage, ...] = ()
    encode: EncodeClassImages | None = None

    @property
    def evaluations(self) -> int:
        """UNet evaluations left."""
        return sum(job.evaluations for job in self.undrawn)


def survey_class_images(
    plan: Plan, folder: OutFolder, settings: RunSettings, model: str, needed: bool
) -> ClassWork | None:
    """Compare the class images in `folder` with what `plan` asks for.

    They are the run's own, as contents are: what is damaged is made again without asking.

    Args:
        plan: of the run.
        folder: where it works.
        settings: of the run.
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
        return ClassWork(images)
    undrawn = tuple(
        job
        for job, image, path in zip(
            plan.class_images.images, images.images, images.paths, strict=True
        )
        if not carries(path, image.facts)
    )
    return ClassWork(images, undrawn, plan.class_images.encode)


def _has_latents(images: ClassImages) -> bool:
    try:
        read_latents(images.latents, len(images.images))
    except InputError:
        return False
    return True


@dataclass(frozen=True)
class Pending:
    """A picture to make: its jobs, what will be recorded of them, and whether to draw first."""

    generate: GenerateImage
    draw_facts: Facts
    undrawn: bool
    transfer: TransferStyle | None
    picture_facts: Facts


@dataclass(frozen=True)
class StyleWork:
    """What is left to do for one style; nothing, when `pending` is empty.

    Attributes:
        batch_mates: pictures that are there, but not their contents, which are drawn again because
            pictures that are pending are stylised together with them.
        training: the LoRA to train first.
        lora: the LoRA to draw with, where there is one already.
    """

    plan: StylePlan
    pending: tuple[Pending, ...]
    batch_mates: tuple[Pending, ...]
    training: TrainingJob | None
    lora: Path | None

    @property
    def lora_file(self) -> Path | None:
        """The LoRA to draw with, there already or after the training."""
        return lora_file(self.training) if self.training else self.lora

    @property
    def evaluations(self) -> int:
        """UNet evaluations left, but for those of pictures that only keep others company.

        The style is inverted only when a picture needs it.
        """
        if not self.pending:
            return 0
        jobs: list[Job | None] = [self.plan.invert, self.plan.train if self.training else None]
        jobs += [item.generate for item in self.batch_mates]
        for item in self.pending:
            jobs += [item.generate if item.undrawn else None, item.transfer]
        return sum(job.evaluations for job in jobs if job)


@dataclass(frozen=True)
class Foreign:
    """A picture in the way: under a name the plan needs, but not made as the plan says."""

    path: Path
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Survey:
    """The state of a run's folder.

    Attributes:
        class_work: none where no training takes class images.
    """

    work: tuple[StyleWork, ...]
    class_work: ClassWork | None
    done: int
    foreign: tuple[Foreign, ...]

    @property
    def evaluations(self) -> int:
        """UNet evaluations left."""
        shared = self.class_work.evaluations if self.class_work else 0
        return shared + sum(work.evaluations for work in self.work)


def survey(
    plan: Plan, folder: OutFolder, settings: RunSettings, model: str, batch: int
) -> Survey:
    """Compare what a folder holds with what a plan asks for.

    Args:
        plan: what there should be.
        folder: where.
        settings: of the run.
        model: the checkpoint's fingerprint.
        batch: how many pictures are computed together.
    """
    foreign: list[Foreign] = []
    work = tuple(
        _survey_style(style, folder, settings, model, batch, foreign) for style in plan.styles
    )
    training = any(style.training for style in work)
    class_work = survey_class_images(plan, folder, settings, model, training)
    done = plan.pictures - sum(len(style.pending) for style in work)
    return Survey(work, class_work, done, tuple(foreign))


def _survey_style(
    style: StylePlan, folder: OutFolder, settings: RunSettings, model: str, batch: int,
    foreign: list[Foreign],
) -> StyleWork:
    training = training_job(style, settings, folder)
    parts = ingredients(style, settings, training, model)
    pending: list[Pending] = []
    batch_mates: list[Pending] = []
    for group in style.groups(batch):
        items = [_item(generate, transfer, settings, parts, model) for generate, transfer in group]
        there = [
            _is_done(folder.picture(
                item.generate.style, item.generate.prompt), item.picture_facts, foreign)
            for item in items
        ]
        if all(there):
            continue
        items = [_with_content(item, folder) for item in items]
        pending += [item for item, done in zip(items, there, strict=True) if not done]
        batch_mates += [
            item
            for item, done in zip(items, there, strict=True)
            if done and item.transfer and item.undrawn
        ]
    lora = style.images[0].lora
    if training and any(item.undrawn for item in (*pending, *batch_mates)):
        lora = finished_lora(training, model)
        training = None if lora else training
    else:
        training = None
    return StyleWork(style, tuple(pending), tuple(batch_mates), training, lora)


def _item(
    generate: GenerateImage, transfer: TransferStyle | None, settings: RunSettings,
    parts: Ingredients, model: str,
) -> Pending:
    drawn = content_facts(generate, settings, parts, model)
    return Pending(
        generate, drawn, True, transfer, picture_facts(generate, transfer, drawn, parts, settings))


def _with_content(item: Pending, folder: OutFolder) -> Pending:
    """Contents are the run's own: one made otherwise is drawn again without asking."""
    content = folder.content(item.generate.style, item.generate.prompt)
    there = item.transfer is not None and carries(content, item.draw_facts)
    return replace(item, undrawn=not there)


def _is_done(path: Path, wanted: Facts, foreign: list[Foreign]) -> bool:
    try:
        found = read_facts(path)
    except FileNotFoundError:
        return False
    except DamagedError as damage:
        log.warning("made again: %s", damage)
        return False
    except NotOursError:
        foreign.append(Foreign(path))
        return False
    if found != wanted:
        foreign.append(Foreign(path, tuple(differences(found, wanted))))
    return found == wanted
