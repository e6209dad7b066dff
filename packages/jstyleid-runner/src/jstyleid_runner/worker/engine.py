"""The engine of a worker: the loaded model with the operations that jobs use."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from jstyleid_core import runtime
from jstyleid_core.backends.jdiffusion.environment import check
from jstyleid_core.progress import OnStep, Preparing, Progress
from jstyleid_core.runtime import Backend, Device, DType
from jstyleid_core.weights.checkpoint import CheckpointSource, find_checkpoint
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_runner.planning.limits import Wanted
from jstyleid_runner.settings import RunSettings

if TYPE_CHECKING:
    from PIL.Image import Image

    from jstyleid_core import StableDiffusion, Style, StyleID
    from jstyleid_core.pipeline import InitialLatents
    from jstyleid_dreambooth import LoRAs


def start_compiled(device: Device, preparing: Preparing, backend: Backend = "native") -> None:
    """Start Jittor, compiling it and the kernels of a backend on first use.

    Otherwise kernels would be compiled inside the first steps, where nothing can be shown.

    Raises:
        RuntimeSetupError: the machine or this environment lacks something.
    """
    if backend == "jdiffusion":
        check()  # first: not after minutes of compiling
    runtime.start(device, preparing)
    from jstyleid_core.warm import is_warm, warm_kernels

    if not is_warm(backend):
        warm_kernels(preparing, backend)


def compile_training(preparing: Preparing, backend: Backend) -> None:
    """Compile the kernels of training on a backend, on first use; Jittor must be started."""
    from jstyleid_dreambooth.training.warm import is_training_warm, warm_training

    if not is_training_warm(backend):
        warm_training(preparing, backend)


class Trainer:
    """A loaded model that LoRAs can be trained on."""

    def __init__(self, model: "StableDiffusion", loras: "LoRAs") -> None:
        self._model = model
        self._loras = loras

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the checkpoint."""
        return self._model.fingerprint

    def train(self, job: TrainingJob, progress: Progress) -> Path:
        """Train a LoRA, or what is left of it, and return its file."""
        from jstyleid_dreambooth.training.train import train_lora

        compile_training(progress.preparing, self._model.backend)
        return train_lora(job, self._model, self._loras, progress)


def load_model(
    source: CheckpointSource, wanted: Iterable[Wanted], dtype: DType, device: Device,
    preparing: Preparing, backend: Backend = "native",
) -> "StableDiffusion":
    """Find the checkpoint, start Jittor, compiling it on first use, and load.

    In this order, because a wrong name or settings that the checkpoint cannot compute should not be
    found out after minutes of compiling and reading.
    """
    number = runtime.default_dtype(device) if dtype == "auto" else dtype
    if number == "float16":
        runtime.check_dtype(number, runtime.default_dtype(device))
    checkpoint = find_checkpoint(source, half=number == "float16")
    checkpoint.check()
    for each in wanted:
        each.check(checkpoint)

    start_compiled(device, preparing, backend)
    from jstyleid_core import StableDiffusion

    return StableDiffusion.load(
        checkpoint,
        dtype=dtype,
        preparing=preparing,
        backend=backend,
    )


class Engine:
    """A loaded model with the settings of a run: the operations that jobs are made of."""

    def __init__(self, model: "StableDiffusion", settings: RunSettings) -> None:
        from jstyleid_dreambooth import LoRAs

        self.model = model
        self._settings = settings
        self._loras = LoRAs.of(model)
        self._trainer = Trainer(model, self._loras)
        self._start: InitialLatents | None = None

    def train(self, job: "TrainingJob", progress: Progress) -> Path:
        """Train a LoRA, or what is left of it."""
        return self._trainer.train(job, progress)

    def check_lora(self, lora: Path) -> None:
        """Raise a CheckpointError unless the LoRA in the file belongs to this model."""
        from jstyleid_dreambooth import read_lora
        from jstyleid_dreambooth.lora.weights import fit_layers

        fit_layers(read_lora(lora), self._loras.layouts)

    @contextmanager
    def drawing(self, lora: Path | None, start: "Image | None") -> Iterator[None]:
        """Within the block `generate` draws with this LoRA, and from this picture on."""
        from jstyleid_core.pipeline import InitialLatents
        from jstyleid_dreambooth import read_lora

        try:
            if lora is not None:
                self._loras.add(str(lora), read_lora(lora))
            if start is not None:
                self._start = InitialLatents(self.model.encode([start]), self._settings.strength)
            yield
        finally:
            self._start = None
            self._loras.detach()

    def generate(
        self, texts: Sequence[str], seeds: Sequence[int], on_step: OnStep
    ) -> "list[Image]":
        """Draw each text from its seed."""
        return self.model.generate(
            texts,
            seeds,
            steps=self._settings.content_steps,
            guidance_scale=self._settings.guidance,
            negative_prompt=self._settings.negative,
            size=self._settings.size,
            start=self._start,
            on_step=on_step,
        )

    def generate_in_style(
        self, texts: Sequence[str], seeds: Sequence[int], styles: "Sequence[Style]",
        on_step: OnStep,
    ) -> "list[Image]":
        """Draw each text in the look of a style, of which all references are given."""
        from jstyleid_core.styleid.drawing import Prompts, StyledDrawing

        settings, drawing = self._settings, StyledDrawing(self._styleid)
        prompts = Prompts(texts, seeds, settings.guidance, settings.negative, settings.size,
                          self._start)
        if settings.way == "direct":
            return drawing.draw(prompts, styles, on_step)
        trajectory = drawing.record(prompts, on_step)
        # What a LoRA has drawn is stylised without it, as after an inversion.
        with self._loras.disabled():
            return drawing.transfer(trajectory, styles, on_step)

    @contextmanager
    def plain_model(self) -> "Iterator[StableDiffusion]":
        """The model, on which no LoRA acts within the block."""
        with self._loras.disabled():
            yield self.model

    def invert_style(self, image: "Image", on_step: OnStep) -> "Style":
        """Invert a reference of a style, which has its final size."""
        with self._loras.disabled():
            return self._styleid.invert_style(image, on_step=on_step)

    def keep_style(self, style: "Style", path: Path) -> None:
        """Write an inverted style to a file, whole or not at all."""
        style.save(path)

    def read_style(self, path: Path, image: "Image") -> "Style":
        """Read one that this model wrote for this picture; raises an InputError for any other."""
        from jstyleid_core import Style

        return Style.load(path, model=self.model, settings=self._styleid.settings, image=image)

    def transfer(
        self, contents: "Sequence[Image]", styles: "Sequence[Style]", on_step: OnStep
    ) -> "list[Image]":
        """Give each content the look of a style, of which all references are given."""
        with self._loras.disabled():
            return self._styleid.transfer(contents, styles, on_step=on_step)

    @cached_property
    def _styleid(self) -> "StyleID":
        from jstyleid_core import StyleID

        if self._settings.styleid is None:
            raise ValueError("these settings only draw")
        return StyleID(self.model, self._settings.styleid)
