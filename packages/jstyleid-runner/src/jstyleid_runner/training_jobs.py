"""The trainings of `jstyleid train`: one a style, or one for a pack of styles."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jstyleid_dreambooth.prompts import DRAWING_TEMPLATE, fill
from jstyleid_dreambooth.training.job import StyleImages, TrainingJob, Validation
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.storage.layout import LoRAFolder
from jstyleid_runner.storage.split import Split, StyleFolder


@dataclass(frozen=True)
class Looks:
    """Pictures to look at while training: every so many steps, the first prompts of each style."""

    every: int
    prompts: int


def training_jobs(
    split: Split,
    settings: TrainingSettings,
    folder: LoRAFolder,
    *,
    packed: bool,
    objects: tuple[str, ...],
    checkpoint_every: int,
    looks: Looks | None,
) -> tuple[TrainingJob, ...]:
    """The trainings of the chosen styles.

    Args:
        split: the styles.
        settings: of every training.
        folder: where the LoRAs go.
        packed: one LoRA for all of the styles together.
        objects: what class images show.
        checkpoint_every: steps between two checkpoints.
        looks: pictures drawn on the way, if any.
    """
    groups = [split.styles] if packed else [(style,) for style in split.styles]
    jobs = []
    for group in groups:
        styles = tuple(StyleImages(style.id, style.references) for style in group)
        validation = Validation(looks.every, _prompts(group, looks.prompts)) if looks else None
        job = TrainingJob(
            styles=styles,
            settings=settings,
            folder=folder.root,
            class_folder=folder.class_images,
            objects=objects,
            checkpoint_every=checkpoint_every,
            validation=validation,
        )
        # The name follows from the styles, and the folder from the name.
        jobs.append(replace(job, folder=folder.lora(job.name)))
    return tuple(jobs)


def _prompts(group: Sequence[StyleFolder], count: int) -> tuple[tuple[str, str], ...]:
    """(file's stem, text) of the first prompts of each style."""
    return tuple(
        (
            prompt if len(group) == 1 else f"{style.id}-{prompt}",
            fill(DRAWING_TEMPLATE, prompt=prompt, style=style.id),
        )
        for style in group
        for prompt in style.prompts[:count]
    )
