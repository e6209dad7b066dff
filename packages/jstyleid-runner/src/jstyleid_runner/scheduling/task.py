"""What the scheduler knows of a job."""

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """Where in a style's making a job stands."""

    CLASS = "class"
    """Class images, which no style owns and the trainings of all need."""
    TRAIN = "train"
    INVERT = "invert"
    DRAW = "draw"
    STYLISE = "stylise"


@dataclass(frozen=True, slots=True)
class Task:
    """A job, as far as it matters when and where it is done.

    Attributes:
        id: unique in the run.
        style: whose LoRA and features it uses; a worker that has them warm does it sooner. Empty
            for what all styles share.
        stage: what it is.
        needs: ids of the tasks that must be done before.
        cost: in UNet evaluations.
        group: tasks of one stage, style and group may be computed together. Groups follow from the
            plan alone, since a picture can depend in its last bits on what it is computed with.
    """

    id: str
    style: str
    stage: Stage
    needs: tuple[str, ...]
    cost: int
    group: int = 0


class State(StrEnum):
    """How far a task is."""

    WAITING = "waiting"
    """To be done, now or when what it needs is done."""
    RUNNING = "running"
    DONE = "done"
    QUARANTINED = "quarantined"
    """It failed too often; what needs it is not done either."""
