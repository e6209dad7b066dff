"""The kinds of job that a run consists of: pure data, each with its stage, needs, cost and output.

An `id` names a job in logs and among the `needs` of others. `evaluations` is the cost of a job in
evaluations of the UNet, a backward pass counted as two. Jobs of one stage, style and `group` may be
computed together.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_runner.choices import Way
from jstyleid_runner.scheduling.task import Stage, Task
from jstyleid_runner.settings import RunSettings
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


class StyleJob(Job):
    """A job of one style."""

    def output(self, folder: OutFolder) -> Path | None:
        """The file for what a worker sends back; None for a job whose files the worker writes."""
        return None


@dataclass(frozen=True)
class TrainLoRA(StyleJob):
    """Train the LoRA of a style.

    Attributes:
        samples: sample images of the style.
        objects: objects of the whole split, where the training takes them.
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
class InvertStyle(StyleJob):
    """Invert the references of a style, and keep the features that style transfer takes.

    Attributes:
        references: pictures to invert.
        steps: steps of each inversion.
    """

    style: str
    references: tuple[Path, ...]
    steps: int
    evaluations: int
    needs: tuple[str, ...] = ()
    group: int = 0
    stage: ClassVar[Stage] = Stage.INVERT

    @property
    def id(self) -> str:
        """The job's name, unique in the run."""
        return f"style/{self.style}"


@dataclass(frozen=True)
class GenerateImage(StyleJob):
    """Generate an image from a prompt.

    Attributes:
        kind: `content` for an image that style transfer follows, `picture` for a result.
        text: prompt in its template.
        steps: denoising steps that are taken, those of stylising included.
        lora: file of the LoRA; None for the plain model, or for the LoRA among the `needs`.
        start: sample images whose mean the denoising starts from; empty to start from noise.
        way: whether the image is stylised, too.
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
    way: Way = "plain"
    stage: ClassVar[Stage] = Stage.DRAW

    @property
    def id(self) -> str:
        """The job's name, unique in the run."""
        return f"{self.kind}/{self.style}/{self.prompt}"

    def output(self, folder: OutFolder) -> Path | None:
        """The content image, or the result."""
        if self.kind == "content":
            return folder.content(self.style, self.prompt)
        return folder.picture(self.style, self.prompt)


@dataclass(frozen=True)
class TransferStyle(StyleJob):
    """Give a content image the look of the style; the output is a result of the run.

    Attributes:
        steps: steps of inversion and reversal.
    """

    style: str
    prompt: str
    steps: int
    evaluations: int
    needs: tuple[str, ...]
    group: int = 0
    stage: ClassVar[Stage] = Stage.STYLISE

    @property
    def id(self) -> str:
        """The job's name, unique in the run."""
        return f"picture/{self.style}/{self.prompt}"

    def output(self, folder: OutFolder) -> Path | None:
        """The result."""
        return folder.picture(self.style, self.prompt)


class SharedJob(Job):
    """A job that all styles share; where its output goes is in `SharedPending.outputs`."""

    stage: ClassVar[Stage] = Stage.SHARED
    style: ClassVar[str] = ""  # type: ignore[misc]


class SharedPending(ABC):
    """The state of shared jobs of one kind in a run's folder."""

    @property
    @abstractmethod
    def outputs(self) -> Mapping[str, Path]:
        """The file of each job's output, by the job's id, whether the job is done or not."""

    @property
    @abstractmethod
    def evaluations(self) -> int:
        """UNet evaluations left."""

    @abstractmethod
    def provide(self, training: TrainingJob) -> TrainingJob:
        """The training, told where the outputs are that it reads."""


class SharedPlan(ABC):
    """The shared jobs of one kind."""

    @property
    @abstractmethod
    def jobs(self) -> Iterator[SharedJob]:
        """Every job, none before what it needs."""

    @property
    @abstractmethod
    def needs(self) -> tuple[str, ...]:
        """Ids of the jobs that a training waits for."""

    @abstractmethod
    def find_pending(
        self, folder: OutFolder, settings: RunSettings, model: str, needed: bool
    ) -> SharedPending:
        """Compare what a folder holds with these jobs.

        What is damaged is made again without asking: the files are the run's own.

        Args:
            folder: folder of the run.
            settings: settings of the run.
            model: the checkpoint's fingerprint.
            needed: whether a LoRA is to be trained; otherwise no job is left.
        """
