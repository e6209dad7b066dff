"""The workers as the scheduler sees them, whatever they are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jstyleid_runner.scheduling.bench import Fault
from jstyleid_runner.scheduling.task import Task

SILENCE = 900.0
"""Seconds without a sign of life after which a worker is taken for hung; compilers may run long."""
GRACE = 120.0
"""Seconds a worker at work gets to end its training step and save it."""


@dataclass(frozen=True)
class Ready:
    """A worker has started and can be given work."""

    worker: str


@dataclass(frozen=True)
class Doing:
    """A worker is at its task, or getting ready: what it says of it, for people.

    Attributes:
        share: of the task that is done, from 0 to 1.
    """

    worker: str
    detail: str
    share: float


@dataclass(frozen=True)
class Finished:
    """A worker has done a task of its assignment.

    Attributes:
        product: the file's content, to be stored; None where there is nothing to store.
        seconds: how long it took.
    """

    worker: str
    task: str
    product: bytes | None
    seconds: float


@dataclass(frozen=True)
class Failed:
    """A worker could not do its assignment, and can be given another.

    Attributes:
        tasks: those of the assignment that are not done.
        fault: whether it makes sense to try again.
    """

    worker: str
    tasks: tuple[str, ...]
    error: str
    fault: Fault
    seconds: float


@dataclass(frozen=True)
class Lost:
    """A worker is gone: it crashed, was killed, or gave no sign of life for too long."""

    worker: str
    reason: str


Event = Ready | Doing | Finished | Failed | Lost


class Crew(Protocol):
    """A set of workers, each with one device for its whole life."""

    def start(self) -> None:
        """Start all workers; each says when it is ready."""
        ...

    def assign(self, worker: str, tasks: Sequence[Task]) -> None:
        """Give work to a ready worker: one task, or several alike to be computed together."""
        ...

    def wait(self, seconds: float) -> list[Event]:
        """What has happened; returns as soon as something has, at the latest after `seconds`."""
        ...

    def replace(self, worker: str) -> None:
        """Start a new worker in the place of one that is lost."""
        ...

    def stop(self) -> None:
        """End all workers; what they have not reported is given up."""
        ...
