"""A task: a job as the scheduler sees it, with its stage and state."""

from dataclasses import dataclass
from enum import Enum


class _Word(str, Enum):
    """A member is its word, in messages and in files; Python 3.11 has it as `StrEnum`."""

    __str__ = str.__str__


class Stage(_Word):
    """A stage in the making of a style's pictures."""

    SHARED = "class"
    """What no style owns and the trainings of all need; `class` in ledgers and tables."""
    TRAIN = "train"
    INVERT = "invert"
    DRAW = "draw"
    STYLISE = "stylise"


@dataclass(frozen=True, slots=True)
class Task:
    """A job, as far as it matters when and where it is done.

    Attributes:
        id: unique in the run.
        style: style of the task; a worker that holds its LoRA and features does the task sooner.
            Empty for tasks that all styles share.
        stage: stage of the task.
        needs: ids of the tasks that must be done before.
        cost: number of UNet evaluations.
        group: tasks of one stage, style and group may be computed together. Groups follow from the
            plan alone, since a picture can depend in its last bits on what it is computed with.
    """

    id: str
    style: str
    stage: Stage
    needs: tuple[str, ...]
    cost: int
    group: int = 0


class State(_Word):
    """The state of a task."""

    WAITING = "waiting"
    """Not begun; it can begin when all that it needs is done."""
    RUNNING = "running"
    DONE = "done"
    QUARANTINED = "quarantined"
    """It failed too often; tasks that need it are not done either."""
