"""Class images (prior preservation) as jobs of a run, which all workers do before any training.

Class images are drawn one at a time, so that a LoRA does not depend on `--batch`, and then encoded
into the latents that the trainings of all styles read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jstyleid_core.errors import InputError
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_dreambooth.training.prior import (
    ClassImages,
    class_images,
    class_prompts,
    read_latents,
)
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.planning.jobs import SharedJob, SharedPending, SharedPlan
from jstyleid_runner.planning.provenance import matches
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder, WorkFolder


def class_folder(folder: WorkFolder) -> Path:
    """The folder of the class images of all trainings in the folder of a command."""
    return folder.hidden / "class_images"


@dataclass(frozen=True)
class GenerateClassImage(SharedJob):
    """Generate one of the class images.

    Attributes:
        group: number of the image.
        text: prompt.
    """

    group: int
    text: str
    evaluations: int
    needs: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The job's name, unique in the run."""
        return f"class/{self.group:04}"


@dataclass(frozen=True)
class EncodeClassImages(SharedJob):
    """Encode all class images into the latents that trainings read, without the UNet."""

    needs: tuple[str, ...]
    evaluations: int = 0

    @property
    def id(self) -> str:
        """The job's name, unique in the run."""
        return "class/latents"

    @property
    def group(self) -> int:  # type: ignore[override]
        """A number after those of the images."""
        return len(self.needs)


@dataclass(frozen=True)
class ClassPlan(SharedPlan):
    """The jobs of the class images.

    Attributes:
        objects: objects that class images show, where their prompt names objects.
        images: one job for each class image.
        encode: job of the latents.
    """

    objects: tuple[str, ...]
    images: tuple[GenerateClassImage, ...]
    encode: EncodeClassImages

    @property
    def jobs(self) -> Iterator[SharedJob]:
        """Every job, none before what it needs."""
        yield from self.images
        yield self.encode

    @property
    def needs(self) -> tuple[str, ...]:
        """A training waits for the latents."""
        return (self.encode.id,)

    def find_pending(
        self, folder: OutFolder, settings: RunSettings, model: str, needed: bool
    ) -> "ClassImagesPending":
        """Compare the class images in a folder with what the plan asks for.

        Raises:
            ValueError: these settings are without a training.
        """
        if settings.training is None:
            raise ValueError("these settings train nothing")
        images = class_images(settings.training, self.objects, class_folder(folder), model,
                              settings.dtype, settings.backend)  # fmt: skip
        if not needed or _has_latents(images):
            return ClassImagesPending(self, images)
        to_generate = tuple(
            job
            for job, image, path in zip(self.images, images.images, images.paths, strict=True)
            if not matches(path, image.provenance)
        )
        return ClassImagesPending(self, images, to_generate, self.encode)


def plan_class_images(
    training: TrainingSettings | None, objects: tuple[str, ...]
) -> ClassPlan | None:
    """The jobs of the class images; None where no training takes class images.

    Raises:
        InputError: class images are to show objects, and there are none.
    """
    prior = training.prior if training else None
    if prior is None:
        return None
    images = tuple(
        GenerateClassImage(number, text, prior.evaluations)
        for number, text in enumerate(class_prompts(prior, objects))
    )
    return ClassPlan(objects, images, EncodeClassImages(tuple(job.id for job in images)))


@dataclass(frozen=True)
class ClassImagesPending(SharedPending):
    """The pending work on class images; none where no training is pending.

    Attributes:
        plan: plan of the class images.
        images: all class images with their paths.
        to_generate: jobs of the images that are missing.
        encode: job of the latents, if the latents are missing.
    """

    plan: ClassPlan
    images: ClassImages
    to_generate: tuple[GenerateClassImage, ...] = ()
    encode: EncodeClassImages | None = None

    @property
    def outputs(self) -> Mapping[str, Path]:
        """The files of the class images and of the latents, by the jobs' ids."""
        files = (*self.images.paths, self.images.latents)
        return {job.id: path for job, path in zip(self.plan.jobs, files, strict=True)}

    @property
    def evaluations(self) -> int:
        """UNet evaluations left."""
        return sum(job.evaluations for job in self.to_generate)

    def provide(self, training: TrainingJob) -> TrainingJob:
        """The training, told the file of the latents."""
        return replace(training, class_latents=self.images.latents)


def _has_latents(images: ClassImages) -> bool:
    try:
        read_latents(images.latents, len(images.images))
    except InputError:
        return False
    return True
