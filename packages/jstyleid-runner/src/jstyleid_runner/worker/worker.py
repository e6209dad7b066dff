"""A worker's work on a run: orders in, pictures out, with one engine and one style at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from jstyleid_core import runtime
from jstyleid_core.errors import CheckpointError, InputError
from jstyleid_core.images import encode_png, fit, mean_image, open_image
from jstyleid_core.runtime import Device
from jstyleid_runner.planning.provenance import to_png_text
from jstyleid_runner.planning.tasks import (
    ClassImagePayload,
    ClassLatentsPayload,
    GeneratePayload,
    InvertPayload,
    Payload,
    TrainPayload,
    TransferPayload,
)
from jstyleid_runner.scheduling.executor import ErrorKind, Say, TaskFiles, classify_error
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.worker.engine import Engine, StyleT, compile_training, start_compiled

if TYPE_CHECKING:
    from PIL.Image import Image


_T = TypeVar("_T")
_Drawing = tuple[Path | None, tuple[Path, ...]]
"""What drawing is set up for: a LoRA, and the pictures it starts from."""


class PayloadRunner(Generic[StyleT]):
    """The work proper, whatever the engine is. What a style needs stays warm until the next one.

    Args:
        engine: a loaded model.
        size: of the pictures.
        loras: files that will be drawn with; checked now, not when their style's turn comes.

    Raises:
        CheckpointError: one of them is for another architecture.
    """

    def __init__(
        self, engine: Engine[StyleT], size: tuple[int, int], loras: Sequence[Path]
    ) -> None:
        self.engine, self._size = engine, size
        self._drawing: _Drawing | None = None
        self._set_up = ExitStack()
        self._style: tuple[str, StyleT] | None = None
        self._whole_batches = True
        for lora in loras:
            engine.check_lora(lora)

    def perform(self, payloads: Sequence[Payload], say: Say) -> Iterator[bytes | None]:
        """Do orders of one kind, style and group; yields what is to be stored of each."""
        try:
            yield from self._perform(payloads, say)
        except Exception as error:
            if classify_error(error) is ErrorKind.MEMORY:
                # Less will be asked for at a time, and there is no room for company.
                self._whole_batches = False
            raise

    def _perform(self, payloads: Sequence[Payload], say: Say) -> Iterator[bytes | None]:
        match payloads[0]:
            case ClassImagePayload():
                yield from self._draw_class_image(payloads[0], say)
            case ClassLatentsPayload():
                yield self._encode_class_images(payloads[0], say)
            case TrainPayload():
                self._train(payloads[0], say)
                yield None
            case InvertPayload():
                self._style_of(payloads[0], say)
                yield None
            case GeneratePayload():
                yield from self._draw([o for o in payloads if isinstance(o, GeneratePayload)], say)
            case TransferPayload():
                yield from self._stylise(
                    [o for o in payloads if isinstance(o, TransferPayload)], say)

    def _train(self, payload: TrainPayload, say: Say) -> None:
        # Nothing else lies on the card while the gradients need it.
        self._set_up.close()
        self._drawing = self._style = None
        self.engine.train(payload.training, _TrainingSays(say))

    def _draw_class_image(self, payload: ClassImagePayload, say: Say) -> Iterator[bytes]:
        picture = self.engine.draw_class_image(payload.image, _counting([payload], say))
        yield encode_png(picture, payload.image.text)

    def _encode_class_images(self, payload: ClassLatentsPayload, say: Say) -> bytes:
        return self.engine.encode_class_images(
            payload.images,
            lambda done, total: say(f"encoding class images {done}/{total}", done / total),
        )

    def _draw(self, payloads: Sequence[GeneratePayload], say: Say) -> Iterator[bytes]:
        self._prepare_drawing((payloads[0].lora, payloads[0].start))
        together = self._together([(payload.text, payload.seed) for payload in payloads],
                                  payloads[0].batch_mates)
        pictures = self.engine.generate(
            [text for text, _ in together],
            [seed for _, seed in together],
            _counting(payloads, say),
        )
        for payload in payloads:
            picture = pictures[together.index((payload.text, payload.seed))]
            yield encode_png(picture, to_png_text(payload.provenance))

    def _together(self, asked: Sequence[_T], batch_mates: Sequence[_T]) -> Sequence[_T]:
        """What is computed with what was asked for.

        The whole group, though some of it may be there already: in other company a picture would
        differ in its last bits from that of a run that was never stopped.
        """
        return batch_mates if self._whole_batches else asked

    def _prepare_drawing(self, wanted: _Drawing) -> None:
        if wanted == self._drawing:
            return
        self._set_up.close()
        self._drawing = None
        lora, start = wanted
        mean = mean_image([fit(open_image(path), self._size) for path in start]) if start else None
        self._set_up.enter_context(self.engine.drawing(lora, mean))
        self._drawing = wanted

    def _stylise(self, payloads: Sequence[TransferPayload], say: Say) -> Iterator[bytes]:
        style = self._style_of(payloads[0].style, say)
        together = self._together(
            [payload.content for payload in payloads], payloads[0].batch_mates)
        contents = [open_image(path) for path in together]
        pictures = self.engine.transfer(contents, style, _counting(payloads, say))
        for payload in payloads:
            picture = pictures[together.index(payload.content)]
            yield encode_png(picture, to_png_text(payload.provenance))

    def _style_of(self, payload: InvertPayload, say: Say) -> StyleT:
        """The inverted style: held, read from where a worker has kept it, or made."""
        if self._style and self._style[0] == payload.style:
            return self._style[1]
        self._style = None  # before the next one takes as much memory
        reference = fit(open_image(payload.reference), self._size)
        style = self._kept_style(payload, reference)
        if style is None:
            style = self.engine.invert_style(reference, _counting([payload], say))
            if payload.kept:
                self.engine.keep_style(style, payload.kept)
        self._style = (payload.style, style)
        return style

    def _kept_style(self, payload: InvertPayload, reference: "Image") -> StyleT | None:
        if payload.kept is None or not payload.kept.exists():
            return None
        try:
            return self.engine.read_style(payload.kept, reference)
        except InputError:
            return None  # left by a run with other settings, and about to be replaced


class _TrainingSays:
    """The `Watcher` of a training inside a worker."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._name = ""
        self._steps = self._done = 0

    def note(self, text: str) -> None:
        """Say something once."""
        self._say(text, self._share)

    def preparing(self, what: str, done: int, total: int) -> None:
        """Something before the steps."""
        self._say(f"{what} {done}/{total}", self._share)

    def stage(self, name: str, steps: int, evaluations: int) -> None:
        """A stage begins."""
        self._name, self._steps, self._done = name, steps, 0

    def step(self, detail: str = "") -> None:
        """A step of the stage is done."""
        self._done += 1
        self._say(f"{self._name} {self._done}/{self._steps} {detail}".rstrip(), self._share)

    def validated(self, step: int, pictures: Sequence[Path]) -> None:
        """Never: a run draws no validation pictures."""

    @property
    def _share(self) -> float:
        return self._done / self._steps if self._steps else 0.0


def _counting(
    payloads: Sequence[
        ClassImagePayload | InvertPayload | GeneratePayload | TransferPayload
    ],
    say: Say,
) -> Callable[[], None]:
    """What is to be called at each step of orders that are done together."""
    name, steps, done = ", ".join(payload.id for payload in payloads), payloads[0].steps, 0

    def step() -> None:
        nonlocal done
        done += 1
        say(f"{name} {done}/{steps}", done / steps)

    say(name, 0.0)
    return step


@dataclass(frozen=True)
class WorkerSpec:
    """Makes the `Worker` of a run; this is what goes to the worker's process.

    Attributes:
        source: the checkpoint.
        device: to start Jittor on.
        settings: of the run.
        loras: files that will be drawn with.
        native_log: where what Jittor's compiled parts write goes.
        fingerprint: of the checkpoint, where the worker's machine may have another one.
    """

    source: str
    device: Device
    settings: RunSettings
    loras: tuple[Path, ...]
    native_log: Path
    fingerprint: str | None = None

    def __call__(self) -> "ImageWorker":
        """Make the worker."""
        return ImageWorker(self)

    def files(self) -> TaskFiles:
        """The files that go with it to another machine."""
        return TaskFiles(read=self.loras)


class ImageWorker:
    """The `Worker` itself."""

    def __init__(self, told: WorkerSpec) -> None:
        self._told = told

    def compile(self, say: Say) -> None:
        """Start Jittor, compiling it on first use, and compile the kernels that are missing."""
        runtime.redirect_native_output(self._told.native_log)
        on_build = _build_says(say)
        # Here, since every worker would compile them at the same time later.
        start_compiled(self._told.device, on_build, self._told.settings.backend)
        if self._told.settings.training:
            compile_training(on_build, self._told.settings.backend)

    def prepare(self, say: Say) -> None:
        """Load the checkpoint, and check that it can draw the size asked for.

        Raises:
            CheckpointError: it cannot, or is not the run's.
        """
        from jstyleid_core import StableDiffusion
        from jstyleid_runner.worker.engine import CoreEngine

        model = StableDiffusion.load(
            self._told.source,
            dtype=self._told.settings.dtype,
            report=lambda part, done, total: say(f"loading {part} {done}/{total}", 0.0),
            backend=self._told.settings.backend,
        )
        model.check_size(self._told.settings.size)
        wanted = self._told.fingerprint
        # Asked for last: to find out the model's own, all of its files are read.
        if wanted is not None and model.fingerprint != wanted:
            raise CheckpointError(
                f"{self._told.source}: not the checkpoint that this run is made with. Copy that "
                "one there, or remove what an earlier download has left."
            )
        engine = CoreEngine(model, self._told.settings)
        self.work = PayloadRunner(engine, self._told.settings.size, self._told.loras)

    def perform(self, payloads: Sequence[Payload], say: Say) -> Iterator[bytes | None]:
        """Do an assignment."""
        return self.work.perform(payloads, say)


def _build_says(say: Say) -> runtime.Report:
    def on_build(build: runtime.BuildProgress) -> None:
        say(f"{build.message} {build.done}/{build.total}", 0.0)

    return on_build
