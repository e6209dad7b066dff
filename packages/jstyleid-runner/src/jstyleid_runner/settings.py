"""The settings of a run: all values that decide the look of its pictures."""

from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from typing_extensions import Self

from jstyleid_core import StyleIDSettings
from jstyleid_core.diffusion.schedule import taken_steps
from jstyleid_core.errors import InputError, setting
from jstyleid_core.runtime import Backend, DType
from jstyleid_core.validation import problems_of
from jstyleid_dreambooth.prompts import fill
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.choices import DIRECT, Method, Start, Way


class RunSettings(BaseModel):
    """Settings that `run.json` records; a later run on the same folder must have the same.

    How the work is divided (batch, device, which styles and how many prompts) is not among them:
    it does not change a picture.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: str = Field(description="Name of the split.")
    method: Method = Field(description="What is drawn with a LoRA, and whether it is stylised.")
    seed: int = Field(0, ge=0, description="Seed of drawing, training and a random reference.")
    size: tuple[int, int] = Field((512, 512), description="Width and height in pixels.")
    content_steps: int = Field(25, ge=1, le=1000, description="Steps of text to image.")
    guidance: float = Field(
        7.5, ge=0, le=100, allow_inf_nan=False, description="Classifier-free guidance scale."
    )
    negative: str = Field("", description="What to avoid in drawing.")
    template: str = Field("{prompt}", description="What is drawn for a prompt.")
    templates: dict[str, str] = Field({}, description="The same for single styles.")
    start: Start = Field("noise", description="What drawing starts from.")
    strength: float = Field(
        1.0, gt=0, le=1, allow_inf_nan=False, description="Share of the steps that are taken."
    )
    dtype: DType = Field("auto", description="Number format of the weights.")
    backend: Backend = Field("native", description="Whose networks compute.")
    reference: str | None = Field(
        None, description="Which sample images of a style are inverted; none where none is."
    )
    styleid: StyleIDSettings | None = Field(None, description="Of stylising; none where none is.")
    content_trajectory: bool = Field(
        False, description="Whether drawings are stylised from their recording, not inverted."
    )
    training: TrainingSettings | None = Field(
        None, description="Of the LoRAs; none where they are given or not used."
    )

    @model_serializer(mode="wrap")
    def _as_recorded(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without newer settings at their default, so that what was made before is known."""
        values: dict[str, Any] = serialize(self)
        if not self.content_trajectory:
            values.pop("content_trajectory", None)
        return values

    @property
    def way(self) -> Way:
        """The way from a prompt to a result that is stylised."""
        if self.styleid is None:
            return "plain"
        if self.content_trajectory:
            return "trajectory"
        return "direct" if self.method in DIRECT else "plain"

    @classmethod
    def create(cls, **values: Any) -> Self:
        """Settings from values a user gave.

        Raises:
            InputError: a value is not allowed; the message names the option.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            problems = problems_of(error)
            lines = [f"{setting(each.field)} {each.value}: {each.reason}." for each in problems]
            raise InputError(
                "\n".join(lines), fields=[each.field for each in problems]) from error

    @property
    def steps_taken(self) -> int:
        """The denoising steps that are taken from the start on.

        Raises:
            InputError: none would be left.
        """
        return taken_steps(self.content_steps, self.strength)

    def text(self, style: str, prompt: str) -> str:
        """The text that an image is generated from: the prompt in the style's template."""
        return fill(self.templates.get(style, self.template), prompt=prompt, style=style)
