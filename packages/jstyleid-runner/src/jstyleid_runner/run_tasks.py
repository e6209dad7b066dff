"""A run's plan as the scheduler sees it: tasks, and which of them are computed together."""

from collections.abc import Iterator

from jstyleid_runner.jobs import (
    Draw,
    DrawClassImage,
    EncodeClassImages,
    InvertStyle,
    Job,
    Stylise,
    TrainLoRA,
)
from jstyleid_runner.plan import ClassPlan, Plan, StylePlan
from jstyleid_runner.scheduling.task import Stage, Task

_SHARED = ""
"""The style of what all styles share."""


def tasks_of(plan: Plan, batch: int) -> list[Task]:
    """The tasks of a plan, in its order.

    Args:
        plan: the jobs.
        batch: how many pictures are computed together: those of one group, by the plan's order.
            Class images are drawn one at a time, so that a LoRA does not depend on it.
    """
    tasks = list(_tasks_of_class_images(plan.class_images)) if plan.class_images else []
    return tasks + [task for style in plan.styles for task in _tasks_of_style(style, batch)]


def _tasks_of_class_images(plan: ClassPlan) -> Iterator[Task]:
    for group, job in enumerate(plan.jobs):
        yield Task(job.id, _SHARED, _stage(job), job.needs, job.evaluations, group)


def _tasks_of_style(plan: StylePlan, batch: int) -> Iterator[Task]:
    places: dict[str, int] = {}
    needs: dict[str, tuple[str, ...]] = {}
    for place, group in enumerate(plan.groups(batch)):
        stylised = [stylise for _, stylise in group if stylise]
        # A group is begun as a whole: when what any of it needs is done.
        together = tuple(dict.fromkeys(need for stylise in stylised for need in stylise.needs))
        for draw, stylise in group:
            places[draw.id] = place
            if stylise:
                places[stylise.id], needs[stylise.id] = place, together
    for job in plan.jobs:
        yield Task(job.id, plan.style, _stage(job), needs.get(job.id, job.needs),
                   job.evaluations, places.get(job.id, 0))


def _stage(job: Job) -> Stage:
    match job:
        case DrawClassImage() | EncodeClassImages():
            return Stage.CLASS
        case TrainLoRA():
            return Stage.TRAIN
        case InvertStyle():
            return Stage.INVERT
        case Draw():
            return Stage.DRAW
        case Stylise():
            return Stage.STYLISE
