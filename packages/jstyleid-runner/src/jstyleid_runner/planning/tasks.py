"""A plan for the scheduler: tasks, the orders that go to workers with them, and their files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from jstyleid_dreambooth.training.class_images import ClassImage
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_runner.planning.jobs import (
    EncodeClassImages,
    GenerateClassImage,
    GenerateImage,
    InvertStyle,
    Job,
    TrainLoRA,
    TransferStyle,
)
from jstyleid_runner.planning.pending import ClassImagesPending, PendingWork, StylePending
from jstyleid_runner.planning.plan import ClassPlan, Plan, StylePlan
from jstyleid_runner.planning.provenance import Provenance
from jstyleid_runner.scheduling.executor import TaskFiles
from jstyleid_runner.scheduling.task import Stage, Task
from jstyleid_runner.storage.layout import OutFolder


@dataclass(frozen=True)
class ClassImagePayload:
    """Draw a class image."""

    id: str
    steps: int
    image: ClassImage


@dataclass(frozen=True)
class ClassLatentsPayload:
    """Encode the class images."""

    id: str
    images: tuple[Path, ...]


@dataclass(frozen=True)
class TrainPayload:
    """Train a LoRA in its folder."""

    training: TrainingJob


@dataclass(frozen=True)
class InvertPayload:
    """Invert a style's reference and keep what comes out of it.

    Attributes:
        kept: the file it is kept in for other workers; None where there are none.
    """

    id: str
    style: str
    steps: int
    reference: Path
    kept: Path | None


@dataclass(frozen=True)
class GeneratePayload:
    """Draw a picture.

    Attributes:
        lora: the file it is drawn with.
        provenance: what is recorded in the picture.
        batch_mates: text and seed of all pictures it is drawn together with, itself among them.
    """

    id: str
    steps: int
    text: str
    seed: int
    lora: Path | None
    start: tuple[Path, ...]
    provenance: Provenance
    batch_mates: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class TransferPayload:
    """Give a content the look of a style that is inverted.

    Attributes:
        provenance: what is recorded in the picture.
        batch_mates: all contents it is stylised together with, itself among them.
    """

    id: str
    steps: int
    content: Path
    style: InvertPayload
    provenance: Provenance
    batch_mates: tuple[Path, ...]


Payload = (ClassImagePayload | ClassLatentsPayload | TrainPayload | InvertPayload
           | GeneratePayload | TransferPayload)


def payloads_of(
    state: PendingWork, folder: OutFolder, *, keep_styles: bool, batch: int
) -> dict[str, Payload]:
    """The orders for all that is left to do, by the jobs' ids.

    Args:
        state: what is left.
        folder: where everything is.
        keep_styles: whether workers are to share what they invert.
        batch: how many pictures are computed together.
    """
    payloads: dict[str, Payload] = {}
    latents = None
    if state.class_images_pending:
        payloads |= _class_image_payloads(state.class_images_pending)
        latents = state.class_images_pending.images.latents
    for work in state.work:
        if work.pending:
            payloads |= _style_payloads(work, folder, latents, keep_styles, batch)
    return payloads


def _class_image_payloads(work: ClassImagesPending) -> Mapping[str, Payload]:
    payloads: dict[str, Payload] = {}
    for job in work.to_generate:
        image = work.images.images[job.number]
        payloads[job.id] = ClassImagePayload(job.id, image.steps, image)
    if work.encode:
        payloads[work.encode.id] = ClassLatentsPayload(work.encode.id, work.images.paths)
    return payloads


def _style_payloads(
    work: StylePending, folder: OutFolder, latents: Path | None, keep_styles: bool, batch: int
) -> Mapping[str, Payload]:
    plan, payloads = work.plan, dict[str, Payload]()
    if work.training and plan.train:
        payloads[plan.train.id] = TrainPayload(replace(work.training, class_latents=latents))
    invert = None
    if plan.invert:
        invert = InvertPayload(
            plan.invert.id,
            plan.style,
            plan.invert.evaluations,
            plan.invert.reference,
            folder.inverted(plan.style) if keep_styles else None,
        )
        payloads[invert.id] = invert
    group_of = {generate.id: [mate for mate, _ in group]
             for group in plan.groups(batch) for generate, _ in group}
    for item in (*work.pending, *work.batch_mates):
        generate = item.generate
        if item.to_generate:
            provenance = item.content_provenance if item.transfer else item.picture_provenance
            batch_mates = tuple((mate.text, mate.seed) for mate in group_of[generate.id])
            payloads[generate.id] = GeneratePayload(
                generate.id, generate.steps, generate.text, generate.seed, work.lora_file,
                generate.start, provenance, batch_mates,
            )
    for item in work.pending:
        if item.transfer and invert:
            contents = tuple(folder.content(mate.style, mate.prompt)
                             for mate in group_of[item.generate.id])
            payloads[item.transfer.id] = TransferPayload(
                item.transfer.id, item.transfer.evaluations,
                folder.content(
                    item.generate.style, item.generate.prompt), invert, item.picture_provenance,
                contents,
            )
    return payloads


def product_path(
    job: Job, folder: OutFolder, class_images_pending: ClassImagesPending | None) -> Path | None:
    """Where what a worker sends for a job belongs; None for what the worker keeps itself."""
    match job:
        case GenerateClassImage():
            return class_images_pending.images.paths[job.number] if class_images_pending else None
        case EncodeClassImages():
            return class_images_pending.images.latents if class_images_pending else None
        case TrainLoRA() | InvertStyle():
            return None
        case GenerateImage(kind="content"):
            return folder.content(job.style, job.prompt)
        case GenerateImage() | TransferStyle():
            return folder.picture(job.style, job.prompt)


_SHARED = ""
"""The style of what all styles share."""


def tasks_of(plan: Plan, batch: int) -> list[Task]:
    """The tasks of a plan, in its order.

    Args:
        plan: the jobs.
        batch: how many pictures are computed together: those of one group, by the plan's order.
            Class images are drawn one at a time, so that a LoRA does not depend on it.
    """
    tasks = list(_tasks_of_class_images(plan.class_images)) if plan.class_images else []
    return tasks + [task for style in plan.styles for task in _tasks_of_style(style, batch)]


def _tasks_of_class_images(plan: ClassPlan) -> Iterator[Task]:
    for group, job in enumerate(plan.jobs):
        yield Task(job.id, _SHARED, _stage(job), job.needs, job.evaluations, group)


def _tasks_of_style(plan: StylePlan, batch: int) -> Iterator[Task]:
    places: dict[str, int] = {}
    needs: dict[str, tuple[str, ...]] = {}
    for place, group in enumerate(plan.groups(batch)):
        transfers = [transfer for _, transfer in group if transfer]
        # A group is begun as a whole: when what any of it needs is done.
        together = tuple(dict.fromkeys(need for transfer in transfers for need in transfer.needs))
        for generate, transfer in group:
            places[generate.id] = place
            if transfer:
                places[transfer.id], needs[transfer.id] = place, together
    for job in plan.jobs:
        yield Task(job.id, plan.style, _stage(job), needs.get(job.id, job.needs),
                   job.evaluations, places.get(job.id, 0))


def _stage(job: Job) -> Stage:
    match job:
        case GenerateClassImage() | EncodeClassImages():
            return Stage.CLASS
        case TrainLoRA():
            return Stage.TRAIN
        case InvertStyle():
            return Stage.INVERT
        case GenerateImage():
            return Stage.DRAW
        case TransferStyle():
            return Stage.STYLISE


def files_of(payload: Payload) -> TaskFiles:
    """The files of an order."""
    match payload:
        case ClassImagePayload():
            return TaskFiles()
        case ClassLatentsPayload():
            return TaskFiles(once=payload.images)
        case TrainPayload():
            job = payload.training
            samples = tuple(image for style in job.styles for image in style.images)
            latents = (job.class_latents,) if job.class_latents else ()
            # Its last checkpoint goes there, and each new one comes back.
            return TaskFiles(read=(*samples, *latents), folders=(job.folder,))
        case InvertPayload():
            return TaskFiles(
                read=(payload.reference,), held=(payload.kept,) if payload.kept else ())
        case GeneratePayload():
            return TaskFiles(read=(*((payload.lora,) if payload.lora else ()), *payload.start))
        case TransferPayload():
            style = files_of(payload.style)
            return TaskFiles(style.read, (payload.content, *payload.batch_mates), held=style.held)
        case _:
            assert_never(payload)
