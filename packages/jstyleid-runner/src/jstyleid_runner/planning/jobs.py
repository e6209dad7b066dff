"""The jobs a run consists of. Each says all that whoever carries it out has to know of it.

Jobs are pure data: `id` names one in logs and among the `needs` of others, and `evaluations` is
what it costs in evaluations of the UNet, a backward pass counted as two.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class GenerateClassImage:
    """Draw one of the class images, which the trainings of all styles share.

    Attributes:
        number: its place among them.
        text: what is drawn.
    """

    number: int
    text: str
    evaluations: int

    @property
    def id(self) -> str:
        """The job's name in logs."""
        return f"class/{self.number:04}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The ids of the jobs that must be done before."""
        return ()


@dataclass(frozen=True)
class EncodeClassImages:
    """Make the latents of all class images, which is what trainings read; the UNet rests."""

    needs: tuple[str, ...]

    @property
    def id(self) -> str:
        """The job's name in logs."""
        return "class/latents"

    @property
    def evaluations(self) -> int:
        """None."""
        return 0


@dataclass(frozen=True)
class TrainLoRA:
    """Train the LoRA that a style is drawn with.

    Attributes:
        samples: the style's sample images.
        objects: what class images show, where the training takes any.
    """

    style: str
    samples: tuple[Path, ...]
    objects: tuple[str, ...]
    evaluations: int
    needs: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The job's name in logs."""
        return f"lora/{self.style}"


@dataclass(frozen=True)
class GenerateImage:
    """Draw a prompt.

    Attributes:
        kind: a content, which is stylised afterwards, or one of the pictures asked for.
        text: what is drawn: the prompt in its template.
        steps: those that are taken.
        lora: the file it is drawn with; None for the plain model, or the LoRA among its `needs`.
        start: the sample images whose mean it starts from; none to start from noise.
    """

    kind: Literal["content", "picture"]
    style: str
    prompt: str
    text: str
    seed: int
    steps: int
    evaluations: int
    lora: Path | None = None
    start: tuple[Path, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The job's name in logs."""
        return f"{self.kind}/{self.style}/{self.prompt}"


@dataclass(frozen=True)
class InvertStyle:
    """Invert the style's reference and keep what the stylised pictures take from it."""

    style: str
    reference: Path
    evaluations: int

    @property
    def id(self) -> str:
        """The job's name in logs."""
        return f"style/{self.style}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The ids of the jobs that must be done before."""
        return ()


@dataclass(frozen=True)
class TransferStyle:
    """Give a content picture the look of the style: one of the pictures asked for."""

    style: str
    prompt: str
    evaluations: int
    needs: tuple[str, ...]

    @property
    def id(self) -> str:
        """The job's name in logs."""
        return f"picture/{self.style}/{self.prompt}"


Job = (GenerateClassImage | EncodeClassImages | TrainLoRA | InvertStyle | GenerateImage
       | TransferStyle)
