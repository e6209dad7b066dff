"""The training of a style's LoRA inside a run."""

from jstyleid_dreambooth.training.job import StyleImages, TrainingJob
from jstyleid_runner.plan import StylePlan
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder


def training_job(plan: StylePlan, settings: RunSettings, folder: OutFolder) -> TrainingJob | None:
    """The training that a style's plan asks for, if it asks for one."""
    if plan.train is None or settings.training is None:
        return None
    return TrainingJob(
        styles=(StyleImages(plan.train.style, plan.train.samples),),
        settings=settings.training,
        folder=folder.lora(plan.style),
        class_folder=folder.class_images,
        objects=plan.train.objects,
    )
