"""A picture that can be made again: what made it, its settings and its inputs, checked.

The facts of a picture may come from anywhere, so they are checked as the options of a command are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jstyleid_core.errors import InputError
from jstyleid_core.runtime import Backend, DType
from jstyleid_core.validation import problems_of
from jstyleid_runner.choices import DIRECT
from jstyleid_runner.planning.inputs import KEY, Inputs
from jstyleid_runner.planning.provenance import DamagedError, NotOursError, read_facts

Kind = Literal["transfer", "generated", "content", "drawn", "stylised"]
"""What made a picture: `transfer`, `generate`, or a run, which draws and stylises."""


_Side = Annotated[int, Field(ge=1, le=4096)]


class MeanStart(BaseModel):
    """Drawing that began at the mean of sample images."""

    model_config = ConfigDict(frozen=True)

    mean_of: dict[str, str]
    strength: float = Field(gt=0, le=1)


class Drawn(BaseModel):
    """The facts of a drawing, or of a transfer as far as they are the same."""

    model_config = ConfigDict(frozen=True)

    text: str = ""
    prompt: str = ""
    negative: str = ""
    seed: int = Field(0, ge=0)
    steps: int = Field(20, ge=1, le=1000)
    guidance: float = Field(7.5, allow_inf_nan=False)
    size: tuple[_Side, _Side]
    dtype: DType = "auto"
    backend: Backend = "native"
    start: Literal["noise"] | MeanStart = "noise"


@dataclass(frozen=True)
class MadePicture:
    """A picture with its facts, checked."""

    path: Path
    kind: Kind
    facts: Mapping[str, Any]
    drawn: Drawn
    inputs: Inputs

    @property
    def drawn_in_style(self) -> bool:
        """Whether it was drawn in the steps of the style transfer, not before it."""
        return bool(self.facts.get("content_trajectory")) or (
            self.facts.get("method") in DIRECT)


def read_made(path: Path) -> MadePicture:
    """The picture with its facts.

    Raises:
        InputError: it has none, or they cannot be followed.
    """
    try:
        facts = read_facts(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such picture. Check the path.") from error
    except DamagedError as error:
        raise InputError(f"{error}. Give a picture that jstyleid wrote.") from error
    except NotOursError as error:
        raise InputError(
            f"{path}: carries no settings of jstyleid; another program may have taken them out. "
            "Give the picture as jstyleid wrote it.") from error
    kind = facts.get("kind")
    if kind not in get_args(Kind):
        raise InputError(f"{path}: a picture of kind {kind!r}, which cannot be made again alone.")
    if KEY not in facts:
        raise InputError(
            f"{path}: made by a version of jstyleid that did not record where the inputs were. "
            "Make it by the command that made it; its settings are in the text `parameters`.")
    drawn = facts.get("content") if kind in ("drawn", "stylised") else facts
    try:
        return MadePicture(path, cast(Kind, kind), facts, Drawn.model_validate(drawn),
                        Inputs.model_validate(facts[KEY]))
    except ValidationError as error:
        problem = problems_of(error)[0]
        raise InputError(f"{path}: its settings are damaged: {problem.field}: {problem.reason}. "
                         "Give the picture as jstyleid wrote it.") from error
