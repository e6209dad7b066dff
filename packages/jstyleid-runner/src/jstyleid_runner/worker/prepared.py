"""A prepared engine: it holds a LoRA to generate with and an inverted style until the next ones."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from jstyleid_core.errors import InputError
from jstyleid_core.image_files import open_image
from jstyleid_core.images import fit, mean_image
from jstyleid_core.progress import OnStep, Progress
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_runner.worker.engine import Engine

if TYPE_CHECKING:
    from PIL.Image import Image

    from jstyleid_core import StableDiffusion, Style

_T = TypeVar("_T")


class PreparedEngine:
    """An engine with what it was prepared for last: a LoRA to generate with, and an inverted style.

    Preparing takes time and memory, so both stay until the next one is asked for.

    Args:
        engine: the model.
        size: size of the pictures.
        loras: files of LoRAs that will be asked for; checked now, not when their style comes.

    Attributes:
        whole_groups: whether all pictures of a group are computed together, though some of them
            may be there already.

    Raises:
        CheckpointError: a LoRA is for another architecture.
    """

    def __init__(self, engine: Engine, size: tuple[int, int], loras: Sequence[Path]) -> None:
        self.engine, self._size = engine, size
        self.whole_groups = True
        self._generation: tuple[Path | None, tuple[Path, ...]] | None = None
        self._attached = ExitStack()
        self._style: tuple[str, list[Style]] | None = None
        for lora in loras:
            engine.check_lora(lora)

    def train(self, job: TrainingJob, progress: Progress) -> None:
        """Train a LoRA, with nothing else in the GPU's memory."""
        self._attached.close()
        self._generation = self._style = None
        self.engine.train(job, progress)

    def plain_model(self) -> "AbstractContextManager[StableDiffusion]":
        """The model, on which no LoRA acts within the block."""
        return self.engine.plain_model()

    def prepare_generation(self, lora: Path | None, start: tuple[Path, ...]) -> None:
        """Let `generate` use a LoRA, and start from the mean of pictures."""
        if (lora, start) == self._generation:
            return
        self._attached.close()
        self._generation = None
        mean = mean_image([fit(open_image(path), self._size) for path in start]) if start else None
        self._attached.enter_context(self.engine.drawing(lora, mean))
        self._generation = (lora, start)

    def generate(
        self, texts: Sequence[str], seeds: Sequence[int], on_step: OnStep
    ) -> "list[Image]":
        """Generate an image from each text and seed, as `prepare_generation` said last."""
        return self.engine.generate(texts, seeds, on_step)

    def generate_in_style(
        self, texts: Sequence[str], seeds: Sequence[int], on_step: OnStep
    ) -> "list[Image]":
        """The same in the look of the style that was prepared last."""
        if self._style is None:
            raise ValueError("no style is prepared")
        return self.engine.generate_in_style(texts, seeds, self._style[1], on_step)

    def prepare_style(
        self, name: str, references: Sequence[Path], kept: Sequence[Path],
        counting: Callable[[], OnStep],
    ) -> None:
        """Let `transfer` use an inverted style: held, read from the files `kept`, or made.

        Args:
            name: name of the style.
            references: pictures to invert.
            kept: a file for each, that shares it with other workers; empty where there are none.
            counting: called before the first picture that has to be inverted; gives the function
                to call at each step of all.
        """
        if self._style and self._style[0] == name:
            return
        self._style = None  # before the next one takes as much memory
        styles: list[Style] = []
        on_step: OnStep | None = None
        for reference, file in zip_longest(references, kept):
            picture = fit(open_image(reference), self._size)
            style = self._read_style(file, picture)
            if style is None:
                on_step = on_step or counting()
                style = self.engine.invert_style(picture, on_step)
                if file:
                    self.engine.keep_style(style, file)
            styles.append(style)
        self._style = (name, styles)

    def transfer(self, contents: "Sequence[Image]", on_step: OnStep) -> "list[Image]":
        """Give each content the look of the style that was prepared last."""
        if self._style is None:
            raise ValueError("no style is prepared")
        return self.engine.transfer(contents, self._style[1], on_step)

    def together(self, wanted: Sequence[_T], group: Sequence[_T]) -> Sequence[_T]:
        """The pictures to compute, of which some are wanted.

        That is the whole group, though some of it may be there already: on CUDA, one computed with
        other pictures would differ in its last bits from that of a run that was never stopped.
        """
        return group if self.whole_groups else wanted

    def _read_style(self, kept: Path | None, reference: "Image") -> "Style | None":
        if kept is None or not kept.exists():
            return None
        try:
            return self.engine.read_style(kept, reference)
        except InputError:
            return None  # left by a run with other settings, and about to be replaced
