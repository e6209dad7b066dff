"""Payloads: what goes to a worker with a task, in plain data, and how a worker does it.

A payload goes through a pipe or to another machine; its paths may be anywhere in its fields, in
tuples and in other dataclasses. A new kind of job has a payload here, beside its class in
`planning`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import Self

from jstyleid_core.image_files import encode_png, open_image
from jstyleid_core.weights.checkpoint import CheckpointSource
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_dreambooth.training.prior import ClassImage, draw_class_image, encode_class_images
from jstyleid_runner.planning.class_images import ClassImagesPending
from jstyleid_runner.planning.inputs import inputs_of_run, with_styles
from jstyleid_runner.planning.jobs import SharedPending
from jstyleid_runner.planning.pending import PendingWork, StylePending
from jstyleid_runner.planning.provenance import to_png_text
from jstyleid_runner.scheduling.executor import ErrorKind, TaskFiles, TaskProgress, classify_error
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.worker.prepared import PreparedEngine


class Payload(ABC):
    """The data that a worker needs for a task."""

    @abstractmethod
    def files(self) -> TaskFiles:
        """The files that the task reads and writes, for workers on other machines."""

    @abstractmethod
    def run(
        self, engine: PreparedEngine, payloads: Sequence[Self], progress: TaskProgress
    ) -> Iterator[bytes | None]:
        """Do several tasks of one kind, style and group; yields the output of each in turn.

        Args:
            engine: the model.
            payloads: payloads of the tasks, this one first.
            progress: progress of the work.
        """


@dataclass(frozen=True)
class ClassImagePayload(Payload):
    """Generate a class image."""

    id: str
    steps: int
    image: ClassImage

    def files(self) -> TaskFiles:
        """None."""
        return TaskFiles()

    def run(
        self, engine: PreparedEngine, payloads: Sequence[Self], progress: TaskProgress
    ) -> Iterator[bytes | None]:
        """Generate class images, each by itself."""
        for payload in payloads:
            progress.stage(payload.id, payload.steps)
            with engine.plain_model() as model:
                picture = draw_class_image(payload.image, model, progress.step)
            yield encode_png(picture, payload.image.png_text)


@dataclass(frozen=True)
class ClassLatentsPayload(Payload):
    """Encode the class images."""

    id: str
    images: tuple[Path, ...]

    def files(self) -> TaskFiles:
        """All class images, which no other task reads."""
        return TaskFiles(once=self.images)

    def run(
        self, engine: PreparedEngine, payloads: Sequence[Self], progress: TaskProgress
    ) -> Iterator[bytes | None]:
        """Encode them into the file that trainings read."""
        progress.stage("encoding class images", len(self.images))
        with engine.plain_model() as model:
            latents = encode_class_images(self.images, model, lambda done, total: progress.step())
        yield latents


@dataclass(frozen=True)
class TrainPayload(Payload):
    """Train a LoRA in its folder."""

    training: TrainingJob

    def files(self) -> TaskFiles:
        """The samples, the latents of class images, and the training's folder."""
        job = self.training
        samples = tuple(image for style in job.styles for image in style.images)
        latents = (job.class_latents,) if job.class_latents else ()
        # Its last checkpoint goes there, and each new one comes back.
        return TaskFiles(read=(*samples, *latents), folders=(job.folder,))

    def run(
        self, engine: PreparedEngine, payloads: Sequence[Self], progress: TaskProgress
    ) -> Iterator[bytes | None]:
        """Train it, or do what is left of the training."""
        engine.train(self.training, progress)
        yield None


@dataclass(frozen=True)
class InvertPayload(Payload):
    """Invert the references of a style.

    Attributes:
        steps: steps of one inversion.
        kept: files that share the inverted references with other workers; empty where there are
            none.
    """

    id: str
    style: str
    steps: int
    references: tuple[Path, ...]
    kept: tuple[Path, ...]

    def files(self) -> TaskFiles:
        """The references, and the files that are shared."""
        return TaskFiles(read=self.references, held=self.kept)

    def run(
        self, engine: PreparedEngine, payloads: Sequence[Self], progress: TaskProgress
    ) -> Iterator[bytes | None]:
        """Invert it, unless this worker or another has done so."""
        self.prepare(engine, progress)
        yield None

    def prepare(self, engine: PreparedEngine, progress: TaskProgress) -> None:
        """Let the engine hold the inverted style."""

        def begin() -> Callable[[], None]:
            progress.stage(self.id, self.steps * len(self.references))
            return progress.step

        engine.prepare_style(self.style, self.references, self.kept, begin)


@dataclass(frozen=True)
class GeneratePayload(Payload):
    """Generate an image from a prompt.

    Attributes:
        lora: file of the LoRA, if any.
        png_text: text chunks of the image.
        batch_mates: text and seed of all images of the group, this one among them.
        style: the style, where the image is stylised, too.
    """

    id: str
    steps: int
    text: str
    seed: int
    lora: Path | None
    start: tuple[Path, ...]
    png_text: Mapping[str, str]
    batch_mates: tuple[tuple[str, int], ...]
    style: InvertPayload | None

    def files(self) -> TaskFiles:
        """The LoRA, the sample images of the start, and the files of the style."""
        style = self.style.files() if self.style else TaskFiles()
        return TaskFiles(read=(*((self.lora,) if self.lora else ()), *self.start, *style.read),
                         held=style.held)

    def run(
        self, engine: PreparedEngine, payloads: Sequence[Self], progress: TaskProgress
    ) -> Iterator[bytes | None]:
        """Generate images, with the rest of their group."""
        if self.style:
            self.style.prepare(engine, progress)
        engine.prepare_generation(self.lora, self.start)
        together = engine.together([(each.text, each.seed) for each in payloads], self.batch_mates)
        progress.stage(_names(payloads), self.steps)
        generate = engine.generate_in_style if self.style else engine.generate
        pictures = generate(
            [text for text, _ in together],
            [seed for _, seed in together],
            progress.step,
        )
        for payload in payloads:
            picture = pictures[together.index((payload.text, payload.seed))]
            yield encode_png(picture, payload.png_text)


@dataclass(frozen=True)
class TransferPayload(Payload):
    """Give a content image the look of an inverted style.

    Attributes:
        png_text: text chunks of the image.
        batch_mates: all contents of the group, this one among them.
    """

    id: str
    steps: int
    content: Path
    style: InvertPayload
    png_text: Mapping[str, str]
    batch_mates: tuple[Path, ...]

    def files(self) -> TaskFiles:
        """The contents of the group, and the files of the style."""
        style = self.style.files()
        return TaskFiles(style.read, (self.content, *self.batch_mates), held=style.held)

    def run(
        self, engine: PreparedEngine, payloads: Sequence[Self], progress: TaskProgress
    ) -> Iterator[bytes | None]:
        """Transfer the style to contents, with the rest of their group."""
        self.style.prepare(engine, progress)
        together = engine.together([each.content for each in payloads], self.batch_mates)
        contents = [open_image(path) for path in together]
        progress.stage(_names(payloads), self.steps)
        pictures = engine.transfer(contents, progress.step)
        for payload in payloads:
            picture = pictures[together.index(payload.content)]
            yield encode_png(picture, payload.png_text)


def run_payloads(
    engine: PreparedEngine, payloads: Sequence[Payload], progress: TaskProgress
) -> Iterator[bytes | None]:
    """Do an assignment: payloads of one kind, style and group; yields the output of each."""
    try:
        yield from payloads[0].run(engine, payloads, progress)
    except Exception as error:
        if classify_error(error) is ErrorKind.MEMORY:
            # The scheduler will halve the batch; from now on only what is missing is computed.
            engine.whole_groups = False
        raise


def payloads_of(
    pending: PendingWork, folder: OutFolder, source: CheckpointSource, *, keep_styles: bool
) -> dict[str, Payload]:
    """The payloads of all pending work, by the jobs' ids.

    Args:
        pending: work that is left.
        folder: folder of the run.
        source: the checkpoint, which pictures name.
        keep_styles: whether workers share inverted styles.
    """
    payloads: dict[str, Payload] = {}
    for shared in pending.shared:
        payloads |= _shared_payloads(shared)
    for work in pending.work:
        if work.pending:
            payloads |= _style_payloads(work, folder, source, pending.shared, keep_styles)
    return payloads


def _shared_payloads(work: SharedPending) -> Mapping[str, Payload]:
    match work:
        case ClassImagesPending():
            return _class_image_payloads(work)
        case _:
            # A job without a payload would be taken for one that is done.
            raise TypeError(f"no payloads for {type(work).__name__}")


def _class_image_payloads(work: ClassImagesPending) -> Mapping[str, Payload]:
    payloads: dict[str, Payload] = {}
    for job in work.to_generate:
        image = work.images.images[job.group]
        payloads[job.id] = ClassImagePayload(job.id, image.steps, image)
    if work.encode:
        payloads[work.encode.id] = ClassLatentsPayload(work.encode.id, work.images.paths)
    return payloads


def _style_payloads(
    work: StylePending, folder: OutFolder, source: CheckpointSource,
    shared: Sequence[SharedPending], keep_styles: bool,
) -> Mapping[str, Payload]:
    plan, payloads = work.plan, dict[str, Payload]()
    if work.training and plan.train:
        training = work.training
        for kind in shared:
            training = kind.provide(training)
        payloads[plan.train.id] = TrainPayload(training)
    invert = None
    if plan.invert:
        invert = InvertPayload(
            plan.invert.id,
            plan.style,
            plan.invert.steps,
            plan.references,
            tuple(folder.inverted(plan.style, number)
                  for number, _ in enumerate(plan.references)) if keep_styles else (),
        )
        payloads[invert.id] = invert
    group_of = {image.id: [mate for mate, _ in group]
                for group in plan.groups for image, _ in group}
    for item in (*work.pending, *work.batch_mates):
        job = item.generate
        if item.to_generate:
            provenance = item.content_provenance if item.transfer else item.picture_provenance
            mates = tuple((mate.text, mate.seed) for mate in group_of[job.id])
            inputs = inputs_of_run(job, item.content_provenance, source, folder)
            if job.way != "plain":
                inputs = with_styles(inputs, provenance, plan.references)
            payloads[job.id] = GeneratePayload(
                job.id, job.steps, job.text, job.seed, work.lora_file, job.start,
                to_png_text({**provenance, **inputs.facts()}, source), mates,
                invert if job.way != "plain" else None,
            )
    for item in work.pending:
        if item.transfer and invert:
            job, transfer = item.generate, item.transfer
            contents = tuple(folder.content(mate.style, mate.prompt)
                             for mate in group_of[job.id])
            inputs = with_styles(
                inputs_of_run(job, item.content_provenance, source, folder),
                item.picture_provenance, plan.references)
            payloads[transfer.id] = TransferPayload(
                transfer.id, transfer.steps, folder.content(job.style, job.prompt),
                invert, to_png_text({**item.picture_provenance, **inputs.facts()}, source),
                contents,
            )
    return payloads


def _names(payloads: Sequence[GeneratePayload | TransferPayload]) -> str:
    return ", ".join(payload.id for payload in payloads)
