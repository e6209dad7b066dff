"""The kinds of job that a run consists of: pure data, each with its stage, needs, cost and output.

An `id` names a job in logs and among the `needs` of others. `evaluations` is the cost of a job in
evaluations of the UNet, a backward pass counted as two. Jobs of one stage, style and `group` may be
computed together.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from jstyleid_dreambooth.training.prior import ClassImages
from jstyleid_runner.scheduling.task import Stage, Task
from jstyleid_runner.storage.layout import OutFolder


class Job(ABC):
    """A unit of work of a run.

    Attributes:
        stage: stage that the job belongs to.
        style: style that the job belongs to; empty for jobs that all styles share.
        evaluations: cost in UNet evaluations.
        needs: ids of the jobs that must be done before.
        group: number of the group within stage and style.
    """

    stage: ClassVar[Stage]
    style: str
    evaluations: int
    needs: tuple[str, ...]
    group: int

    @property
    @abstractmethod
    def id(self) -> str:
        """The job's name, unique in the run."""

    @property
    def task(self) -> Task:
        """The job as the scheduler sees it."""
        return Task(self.id, self.style, self.stage, self.needs, self.evaluations, self.group)

    def output(self, folder: OutFolder, class_images: ClassImages | None) -> Path | None:
        """The file for what a worker sends back; None for a job whose files the worker writes."""
        return None


@dataclass(frozen=True)
class GenerateClassImage(Job):
    """Generate one of the class images, which the trainings of all styles share.

    Class images are generated one at a time, so that a LoRA does not depend on `--batch`.

    Attributes:
        group: number of the image.
        text: prompt.
    """

    group: int
    text: str
    evaluations: int
    needs: tuple[str, ...] = ()
    stage: ClassVar[Stage] = Stage.CLASS
    style: ClassVar[str] = ""  # type: ignore[misc]

    @property
    def id(self) -> str:
        """The job's name, unique in the run."""
        return f"class/{self.group:04}"

    def output(self, folder: OutFolder, class_images: ClassImages | None) -> Path | None:
        """The class image."""
        return class_images.paths[self.group] if class_images else None


@dataclass(frozen=True)
class EncodeClassImages(Job):
    """Encode all class images into the latents that trainings read, without the UNet."""

    needs: tuple[str, ...]
    evaluations: int = 0
    stage: ClassVar[Stage] = Stage.CLASS
    style: ClassVar[str] = ""  # type: ignore[misc]

    @property
    def id(self) -> str:
        """The job's name, unique in the run."""
        return "class/latents"

    @property
    def group(self) -> int:  # type: ignore[override]
        """A number after those of the images."""
        return len(self.needs)

    def output(self, folder: OutFolder, class_images: ClassImages | None) -> Path | None:
        """The file of the latents."""
        return class_images.latents if class_images else None


@dataclass(frozen=True)
class TrainLoRA(Job):
    """Train the LoRA of a style.

    Attributes:
        samples: sample images of the style.
        objects: objects that class images show, where the training takes class images.
    """

    style: str
    samples: tuple[Path, ...]
    objects: tuple[str, ...]
    evaluations: int
    needs: tuple[str, ...] = ()
    group: int = 0
    stage: ClassVar[Stage] = Stage.TRAIN

    @property
    def id(self) -> str:
        """The job's name, unique in the run."""
        return f"lora/{self.style}"


@dataclass(frozen=True)
class InvertStyle(Job):
    """Invert the reference of a style, and keep the features that style transfer takes from it."""

    style: str
    reference: Path
    evaluations: int
    needs: tuple[str, ...] = ()
    group: int = 0
    stage: ClassVar[Stage] = Stage.INVERT

    @property
    def id(self) -> str:
        """The job's name, unique in the run."""
        return f"style/{self.style}"


@dataclass(frozen=True)
class GenerateImage(Job):
    """Generate an image from a prompt.

    Attributes:
        kind: `content` for an image that style transfer follows, `picture` for a result.
        text: prompt in its template.
        steps: denoising steps that are taken.
        lora: file of the LoRA; None for the plain model, or for the LoRA among the `needs`.
        start: sample images whose mean the denoising starts from; empty to start from noise.
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
    group: int = 0
    stage: ClassVar[Stage] = Stage.DRAW

    @property
    def id(self) -> str:
        """The job's name, unique in the run."""
        return f"{self.kind}/{self.style}/{self.prompt}"

    def output(self, folder: OutFolder, class_images: ClassImages | None) -> Path | None:
        """The content image, or the result."""
        if self.kind == "content":
            return folder.content(self.style, self.prompt)
        return folder.picture(self.style, self.prompt)


@dataclass(frozen=True)
class TransferStyle(Job):
    """Give a content image the look of the style; the output is a result of the run."""

    style: str
    prompt: str
    evaluations: int
    needs: tuple[str, ...]
    group: int = 0
    stage: ClassVar[Stage] = Stage.STYLISE

    @property
    def id(self) -> str:
        """The job's name, unique in the run."""
        return f"picture/{self.style}/{self.prompt}"

    def output(self, folder: OutFolder, class_images: ClassImages | None) -> Path | None:
        """The result."""
        return folder.picture(self.style, self.prompt)
