"""What a worker is told: all it has to know of a job, in plain data that goes through a pipe."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_runner.facts import Facts
from jstyleid_runner.jobs import Draw, InvertStyle, Job, Stylise, TrainLoRA
from jstyleid_runner.out_folder import OutFolder
from jstyleid_runner.survey import StyleWork, Survey


@dataclass(frozen=True)
class TrainOrder:
    """Train a LoRA in its folder."""

    training: TrainingJob


@dataclass(frozen=True)
class InvertOrder:
    """Invert a style's reference and keep what comes out of it.

    Attributes:
        kept: the file it is kept in for other workers; None where there are none.
    """

    id: str
    style: str
    steps: int
    reference: Path
    kept: Path | None


@dataclass(frozen=True)
class DrawOrder:
    """Draw a picture.

    Attributes:
        lora: the file it is drawn with.
        facts: what is recorded in the picture.
    """

    id: str
    steps: int
    text: str
    seed: int
    lora: Path | None
    start: tuple[Path, ...]
    facts: Facts


@dataclass(frozen=True)
class StyliseOrder:
    """Give a content the look of a style that is inverted."""

    id: str
    steps: int
    content: Path
    style: InvertOrder
    facts: Facts


Order = TrainOrder | InvertOrder | DrawOrder | StyliseOrder


def orders_of(state: Survey, folder: OutFolder, keep_styles: bool) -> dict[str, Order]:
    """The orders for all that is left to do, by the jobs' ids.

    Args:
        state: what is left.
        folder: where everything is.
        keep_styles: whether workers are to share what they invert.
    """
    orders: dict[str, Order] = {}
    for work in state.work:
        if work.pending:
            orders |= _orders_of_style(work, folder, keep_styles)
    return orders


def _orders_of_style(
    work: StyleWork, folder: OutFolder, keep_styles: bool
) -> Mapping[str, Order]:
    plan, orders = work.plan, dict[str, Order]()
    if work.training and plan.train:
        orders[plan.train.id] = TrainOrder(work.training)
    invert = None
    if plan.invert:
        invert = InvertOrder(
            plan.invert.id,
            plan.style,
            plan.invert.evaluations,
            plan.invert.reference,
            folder.inverted(plan.style) if keep_styles else None,
        )
        orders[invert.id] = invert
    for item in work.pending:
        draw = item.draw
        if item.undrawn:
            facts = item.draw_facts if item.stylise else item.picture_facts
            orders[draw.id] = DrawOrder(
                draw.id, draw.steps, draw.text, draw.seed, work.lora_file, draw.start, facts
            )
        if item.stylise and invert:
            content = folder.content(draw.style, draw.prompt)
            orders[item.stylise.id] = StyliseOrder(
                item.stylise.id, item.stylise.evaluations, content, invert, item.picture_facts
            )
    return orders


def product_path(job: Job, folder: OutFolder) -> Path | None:
    """Where what a worker sends for a job belongs; None for what the worker keeps itself."""
    match job:
        case TrainLoRA() | InvertStyle():
            return None
        case Draw(kind="content"):
            return folder.content(job.style, job.prompt)
        case Draw() | Stylise():
            return folder.picture(job.style, job.prompt)
