"""The interface between scheduler and executors: workers, files, messages and events."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from jstyleid_core.errors import InputError, NumbersError, OutputError
from jstyleid_runner.scheduling.task import Task

log = logging.getLogger(__name__)

_MEMORY_SIGNS = (
    "out of memory", "out_of_memory", "bad_alloc", "unable to alloc", "memory is overflow")
"""Parts of the messages of Jittor, CUDA and the C++ library."""
_FULL_SIGNS = ("no space left on device", "disk quota exceeded")
"""Parts of the system's messages, which compilers and libraries pass on."""


class TaskProgress:
    """The progress of an assignment, as a text and the share of it that is done.

    Everything that a worker does reports here: compiling, loading, and jobs with their steps.

    Args:
        report: takes the text and the share, from 0 to 1.
    """

    def __init__(self, report: Callable[[str, float], None]) -> None:
        self._report = report
        self._name = ""
        self._steps = self._done = 0

    def note(self, text: str) -> None:
        """Report something once."""
        self._report(text, self._share)

    def preparing(self, what: str, done: int, total: int) -> None:
        """Report something that is done before the steps."""
        self._report(f"{what} {done}/{total}", self._share)

    def stage(self, name: str, steps: int, evaluations: int = 0) -> None:
        """Begin a stage of so many steps."""
        self._name, self._steps, self._done = name, steps, 0
        self._report(name, 0.0)

    def step(self, detail: str = "") -> None:
        """Report that a step of the stage is done."""
        self._done += 1
        self._report(f"{self._name} {self._done}/{self._steps} {detail}".rstrip(), self._share)

    @property
    def _share(self) -> float:
        return self._done / self._steps if self._steps else 0.0


class Worker(Protocol):
    """A worker: loads the model and runs tasks. It is created inside the worker process."""

    def compile(self, progress: TaskProgress) -> None:
        """Compile what is not compiled on this machine yet; only one worker does it at a time."""
        ...

    def prepare(self, progress: TaskProgress) -> None:
        """Load the model."""
        ...

    def perform(self, payloads: Sequence[Any], progress: TaskProgress) -> Iterator[bytes | None]:
        """Do an assignment; yields each order's product as soon as it is there, in their order."""
        ...

    def usable(self) -> bool:
        """Whether the device still computes, asked after an error.

        After some errors, a card that is gone among them, CUDA does nothing for a process any more.
        """
        ...


WorkerFactory = Callable[[], Worker]
"""Makes a worker; it is sent to the worker's process."""


class ErrorKind(Enum):
    """The kind of an error, which decides whether the task is tried again."""

    MEMORY = "memory"
    """The memory was too small: less at a time may do."""
    INPUT = "input"
    """Something given cannot be used: it will not do at all."""
    OUTPUT = "output"
    """A file cannot be written: no task will do before there is room."""
    OTHER = "other"
    """The next attempt may succeed."""


def classify_error(error: BaseException) -> ErrorKind:
    """The kind of an error that a worker has raised."""
    text = str(error).lower()
    if isinstance(error, OutputError) or any(sign in text for sign in _FULL_SIGNS):
        return ErrorKind.OUTPUT
    # The same computation gives the same numbers.
    if isinstance(error, InputError | NumbersError):
        return ErrorKind.INPUT
    if isinstance(error, MemoryError) or any(sign in text for sign in _MEMORY_SIGNS):
        return ErrorKind.MEMORY
    return ErrorKind.OTHER


@dataclass(frozen=True)
class TaskFiles:
    """The files of a payload, by their paths on the scheduler's machine.

    Attributes:
        read: files that other payloads read too; a machine gets each once.
        once: files that are read for this payload only.
        folders: folders that go with the payload; their changes come back.
        held: files that are read if a worker has made them, and made otherwise; they do not come
            back, and other machines can get them.
    """

    read: tuple[Path, ...] = ()
    once: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()
    held: tuple[Path, ...] = ()


FilesOf = Callable[[Any], TaskFiles]


def no_files(payload: Any) -> TaskFiles:
    """The files of payloads without files."""
    return TaskFiles()


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
        share: share of the task that is done, from 0 to 1.
    """

    worker: str
    detail: str
    share: float


@dataclass(frozen=True)
class Finished:
    """A worker has done a task of its assignment.

    Attributes:
        product: the file's content, to be stored; None where there is nothing to store.
        seconds: duration of the task.
    """

    worker: str
    task: str
    product: bytes | None
    seconds: float


@dataclass(frozen=True)
class Failed:
    """A worker could not do its assignment, and can be given another.

    Attributes:
        tasks: tasks of the assignment that are not done.
        kind: whether it makes sense to try again.
    """

    worker: str
    tasks: tuple[str, ...]
    error: str
    kind: ErrorKind
    seconds: float


@dataclass(frozen=True)
class Lost:
    """A worker is gone: it crashed, was killed, or gave no sign of life for too long."""

    worker: str
    reason: str


Event = Ready | Doing | Finished | Failed | Lost


class Executor(Protocol):
    """A set of workers, each with one device for its whole life."""

    def start(self) -> None:
        """Start all workers; each says when it is ready."""
        ...

    def assign(self, worker: str, tasks: Sequence[Task]) -> None:
        """Give work to a ready worker: one task, or several alike to be computed together."""
        ...

    def wait(self, seconds: float) -> list[Event]:
        """The next events; returns as soon as there are some, at the latest after `seconds`."""
        ...

    def replace(self, worker: str) -> None:
        """Start a new worker in the place of one that is lost."""
        ...

    def stop(self) -> None:
        """End all workers; what they have not reported is given up."""
        ...


Message = tuple[Any, ...]
"""A message of a worker, with its kind as the first word."""


COMPILED = ("compiled",)
"""For the executor itself: the machine's other workers may start now."""


def parse_event(worker: str, message: Message) -> Event | None:
    """The event of a message; None for a mere sign of life.

    Raises:
        InputError: the worker cannot get ready, because of something that was given.
        OutputError: it cannot get ready, because it cannot write a file.
    """
    match message:
        case ("doing", detail, share):
            return Doing(worker, detail, share) if detail else None
        case ("ready",):
            return Ready(worker)
        case ("finished", task, product, seconds):
            return Finished(worker, task, product, seconds)
        case ("failed", tasks, error, report, kind, seconds):
            log.error("%s: %s\n%s", worker, ", ".join(tasks), report)
            return Failed(worker, tasks, error, kind, seconds)
        case ("unfit", error, report, kind):
            log.error("%s\n%s", worker, report)
            if kind is ErrorKind.INPUT:
                raise InputError(error)
            if kind is ErrorKind.OUTPUT:
                raise OutputError(error)
            return Lost(worker, error)
    raise ValueError(f"{worker} sent {message[0]!r}")
