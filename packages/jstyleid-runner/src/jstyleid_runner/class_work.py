"""What is left to do for the class images that a run's trainings share."""

from dataclasses import dataclass

from jstyleid_core.errors import InputError
from jstyleid_dreambooth.training.class_images import ClassImages, class_images
from jstyleid_dreambooth.training.class_samples import read_latents
from jstyleid_runner.facts import carries
from jstyleid_runner.jobs import DrawClassImage, EncodeClassImages
from jstyleid_runner.plan import Plan
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder


@dataclass(frozen=True)
class ClassWork:
    """The class images of a run; nothing is left of them where no training is.

    Attributes:
        images: all of them, and where they are.
        undrawn: the jobs of those to be drawn.
        encode: the job of their latents, where these are to be made.
    """

    images: ClassImages
    undrawn: tuple[DrawClassImage, ...] = ()
    encode: EncodeClassImages | None = None

    @property
    def evaluations(self) -> int:
        """UNet evaluations left."""
        return sum(job.evaluations for job in self.undrawn)


def survey_class_images(
    plan: Plan, folder: OutFolder, settings: RunSettings, model: str, needed: bool
) -> ClassWork | None:
    """Compare the class images in `folder` with what `plan` asks for.

    They are the run's own, as contents are: what is damaged is made again without asking.

    Args:
        plan: of the run.
        folder: where it works.
        settings: of the run.
        model: the checkpoint's fingerprint.
        needed: whether a LoRA is to be trained.

    Returns:
        None where no training takes class images.
    """
    if plan.class_images is None or settings.training is None:
        return None
    objects = next(style.train.objects for style in plan.styles if style.train)
    images = class_images(settings.training, objects, folder.class_images, model, settings.dtype,
                          settings.backend)  # fmt: skip
    if not needed or _has_latents(images):
        return ClassWork(images)
    undrawn = tuple(
        job
        for job, image, path in zip(
            plan.class_images.draws, images.images, images.paths, strict=True
        )
        if not carries(path, image.facts)
    )
    return ClassWork(images, undrawn, plan.class_images.encode)


def _has_latents(images: ClassImages) -> bool:
    try:
        read_latents(images.latents, len(images.images))
    except InputError:
        return False
    return True
