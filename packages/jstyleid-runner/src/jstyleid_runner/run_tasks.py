"""A run's plan as the scheduler sees it: tasks, and which of them are done."""

from collections.abc import Iterator

from jstyleid_runner.jobs import Draw, InvertStyle, Job, Stylise, TrainLoRA
from jstyleid_runner.plan import Plan, StylePlan
from jstyleid_runner.scheduling.task import Stage, Task


def tasks_of(plan: Plan, batch: int) -> list[Task]:
    """The tasks of a plan, in its order.

    Args:
        plan: the jobs.
        batch: how many pictures are computed together: those of one group, by the plan's order.
    """
    return [task for style in plan.styles for task in _tasks_of_style(style, batch)]


def _tasks_of_style(plan: StylePlan, batch: int) -> Iterator[Task]:
    places = {draw.prompt: place for place, draw in enumerate(plan.draws)}
    for job in plan.jobs:
        group = places[job.prompt] // batch if isinstance(job, Draw | Stylise) else 0
        yield Task(job.id, plan.style, _stage(job), job.needs, job.evaluations, group)


def _stage(job: Job) -> Stage:
    match job:
        case TrainLoRA():
            return Stage.TRAIN
        case InvertStyle():
            return Stage.INVERT
        case Draw():
            return Stage.DRAW
        case Stylise():
            return Stage.STYLISE

