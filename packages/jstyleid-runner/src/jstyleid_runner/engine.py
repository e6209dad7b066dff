"""What a worker needs of the model: the things the jobs of a plan do."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from jstyleid_dreambooth.training.job import Watcher
from jstyleid_dreambooth.training.prior import ClassImage, draw_class_image, encode_class_images
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.trainer import CoreTrainer, Trainer

if TYPE_CHECKING:
    from PIL.Image import Image

    from jstyleid_core import StableDiffusion, Style, StyleID
    from jstyleid_core.pipeline import InitialLatents
    from jstyleid_dreambooth.training.job import TrainingJob

OnStep = Callable[[], None]
OnPicture = Callable[[int, int], None]
"""Told how many pictures are done, and of how many."""
StyleT = TypeVar("StyleT")


class Engine(Trainer, Protocol[StyleT]):
    """A loaded model with its settings. A worker has one for its whole life.

    The inverted style is a value to the executor: made by one method, given to another.
    """

    def check_lora(self, lora: Path) -> None:
        """Raise a CheckpointError unless the LoRA in the file belongs to this model."""
        ...

    def drawing(self, lora: Path | None, start: "Image | None") -> AbstractContextManager[None]:
        """Within the block `generate` draws with this LoRA, and from this picture on.

        What else is done there is done with the plain model.
        """
        ...

    def generate(
        self, texts: Sequence[str], seeds: Sequence[int], on_step: OnStep
    ) -> "list[Image]":
        """Draw each text from its seed; only within `drawing`."""
        ...

    def draw_class_image(self, image: ClassImage, on_step: OnStep) -> "Image":
        """Draw what a training is told not to forget."""
        ...

    def encode_class_images(self, images: Sequence[Path], on_picture: OnPicture) -> bytes:
        """The content of the file that trainings read of class images."""
        ...

    def invert_style(self, image: "Image", on_step: OnStep) -> StyleT:
        """Invert a style's reference, which has its final size."""
        ...

    def keep_style(self, style: StyleT, path: Path) -> None:
        """Write an inverted style to a file, whole or not at all."""
        ...

    def read_style(self, path: Path, image: "Image") -> StyleT:
        """Read one that this model wrote for this picture; raises an InputError for any other."""
        ...

    def transfer(
        self, contents: "Sequence[Image]", style: StyleT, on_step: OnStep
    ) -> "list[Image]":
        """Give each content the look of the style."""
        ...


class CoreEngine:
    """The engine of `jstyleid_core`."""

    def __init__(self, model: "StableDiffusion", settings: RunSettings) -> None:
        from jstyleid_dreambooth import LoRAs

        self.model = model
        self._settings = settings
        self._loras = LoRAs.of(model)
        self._trainer = CoreTrainer(model, self._loras)
        self._start: InitialLatents | None = None

    def train(self, job: "TrainingJob", watch: Watcher) -> Path:
        """Train a LoRA, or what is left of it."""
        return self._trainer.train(job, watch)

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

    def draw_class_image(self, image: ClassImage, on_step: OnStep) -> "Image":
        """Draw what a training is told not to forget."""
        with self._loras.disabled():
            return draw_class_image(image, self.model, on_step)

    def encode_class_images(self, images: Sequence[Path], on_picture: OnPicture) -> bytes:
        """The content of the file that trainings read of class images."""
        return encode_class_images(images, self.model, on_picture)

    def invert_style(self, image: "Image", on_step: OnStep) -> "Style":
        """Invert a style's reference, which has its final size."""
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
        self, contents: "Sequence[Image]", style: "Style", on_step: OnStep
    ) -> "list[Image]":
        """Give each content the look of the style."""
        with self._loras.disabled():
            return self._styleid.transfer(contents, style, on_step=on_step)

    @cached_property
    def _styleid(self) -> "StyleID":
        from jstyleid_core import StyleID

        if self._settings.styleid is None:
            raise ValueError("these settings only draw")
        return StyleID(self.model, self._settings.styleid)
