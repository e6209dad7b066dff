"""What a worker needs of the model: the three things the jobs of a plan do."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from jstyleid_runner.settings import RunSettings

if TYPE_CHECKING:
    from PIL.Image import Image

    from jstyleid_core import StableDiffusion, Style

OnStep = Callable[[], None]
StyleT = TypeVar("StyleT")


class Engine(Protocol[StyleT]):
    """A loaded model with its settings. A worker has one for its whole life.

    The inverted style is a value to the executor: made by one method, given to another.
    """

    def generate(
        self, prompts: Sequence[str], seeds: Sequence[int], on_step: OnStep
    ) -> "list[Image]":
        """Draw each prompt from its seed."""
        ...

    def invert_style(self, image: "Image", on_step: OnStep) -> StyleT:
        """Invert a style's reference, which has its final size."""
        ...

    def transfer(
        self, contents: "Sequence[Image]", style: StyleT, on_step: OnStep
    ) -> "list[Image]":
        """Give each content the look of the style."""
        ...


class CoreEngine:
    """The engine of `jstyleid_core`."""

    def __init__(self, model: "StableDiffusion", settings: RunSettings) -> None:
        from jstyleid_core import StyleID

        self.model = model
        self._settings = settings
        self._styleid = StyleID(model, settings.styleid)

    def generate(
        self, prompts: Sequence[str], seeds: Sequence[int], on_step: OnStep
    ) -> "list[Image]":
        """Draw each prompt from its seed."""
        return self.model.generate(
            prompts,
            seeds,
            steps=self._settings.content_steps,
            guidance_scale=self._settings.guidance,
            size=self._settings.size,
            on_step=on_step,
        )

    def invert_style(self, image: "Image", on_step: OnStep) -> "Style":
        """Invert a style's reference, which has its final size."""
        return self._styleid.invert_style(image, on_step=on_step)

    def transfer(
        self, contents: "Sequence[Image]", style: "Style", on_step: OnStep
    ) -> "list[Image]":
        """Give each content the look of the style."""
        return self._styleid.transfer(contents, style, on_step=on_step)
