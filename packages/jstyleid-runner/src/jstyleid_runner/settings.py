"""The settings of a run: everything that decides how its pictures look."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jstyleid_core import StyleIDSettings
from jstyleid_core.errors import InputError
from jstyleid_core.runtime import DType

Method = Literal["styleid", "dreambooth", "styleid-dreambooth"]


class RunSettings(BaseModel):
    """What `run.json` records and a later run on the same folder must agree with.

    How the work is divided (batch, device, which styles and how many prompts) is not among them:
    it does not change a picture.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: str = Field(description="Name of the split.")
    method: Method = Field("styleid", description="Where the contents come from, and the method.")
    seed: int = Field(0, ge=0, description="Seed of the contents and of a random reference.")
    size: tuple[int, int] = Field((512, 512), description="Width and height in pixels.")
    reference: str = Field("first", description="Which sample image of a style is used.")
    content_steps: int = Field(25, ge=1, le=1000, description="Steps of text to image.")
    guidance: float = Field(
        7.5, ge=0, le=100, allow_inf_nan=False, description="Classifier-free guidance scale."
    )
    dtype: DType = Field("auto", description="Number format of the weights.")
    styleid: StyleIDSettings = Field(default_factory=StyleIDSettings)

    @classmethod
    def create(cls, **values: Any) -> Self:
        """Settings from values a user gave.

        Raises:
            InputError: a value is not allowed; the message names the option.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise InputError("\n".join(_explain(problem) for problem in error.errors())) from error


def _explain(problem: Any) -> str:
    option = "--" + ".".join(str(part) for part in problem["loc"]).replace("_", "-")
    return f"{option} {problem['input']}: {problem['msg']}."
