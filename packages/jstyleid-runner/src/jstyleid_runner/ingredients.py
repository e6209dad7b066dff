"""The files that pictures of a style are made from, as the pictures record them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jstyleid_core.images import open_image
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_runner.plan import StylePlan
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.records import Reference, describe_reference, digests


@dataclass(frozen=True)
class Ingredients:
    """What all pictures of one style have in common.

    Attributes:
        reference: the sample image that is inverted, if any.
        start: `noise`, or the sample images whose mean drawing starts from and how strong the
            noise on it is.
        lora: what it is drawn with: a file, or the recipe of one that the run trains. By the
            recipe a picture can be judged without its LoRA.
    """

    reference: Reference | None
    start: str | Mapping[str, Any]
    lora: Mapping[str, Any] | None


def check_pictures(plan: StylePlan, training: TrainingJob | None) -> None:
    """Open every picture that the style's jobs read, before hours of work.

    Raises:
        InputError: one cannot be read, or its name says no object where the training asks for it.
    """
    read = set(plan.draws[0].start)
    if plan.invert:
        read.add(plan.invert.reference)
    if training:
        read.update(image for image, _ in training.examples())
    for path in sorted(read):
        open_image(path)


def ingredients(
    plan: StylePlan, settings: RunSettings, training: TrainingJob | None, model: str
) -> Ingredients:
    """What the pictures of a style are made from; `model` is the checkpoint's fingerprint."""
    draw = plan.draws[0]
    start: str | Mapping[str, Any] = "noise"
    if draw.start:
        start = {"mean_of": digests(draw.start), "strength": settings.strength}
    lora: Mapping[str, Any] | None = None
    if draw.lora:
        lora = asdict(describe_reference(draw.lora))
    elif training:
        lora = training.recipe(model)
    reference = describe_reference(plan.invert.reference) if plan.invert else None
    return Ingredients(reference, start, lora)
