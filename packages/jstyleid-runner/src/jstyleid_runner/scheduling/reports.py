"""What workers report, as the scheduler understands it, however it has come to it."""

import logging

from jstyleid_core.errors import InputError
from jstyleid_runner.scheduling.bench import Fault
from jstyleid_runner.scheduling.crew import Doing, Event, Failed, Finished, Lost, Ready
from jstyleid_runner.scheduling.process import Message

log = logging.getLogger(__name__)

COMPILED = ("compiled",)
"""For the crew itself: the machine's other workers may start now."""


def event_of(worker: str, message: Message) -> Event | None:
    """What a message means; None for a mere sign of life.

    Raises:
        InputError: the worker cannot get ready, because of something that was given.
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
            if kind is Fault.INPUT:
                raise InputError(error)
            return Lost(worker, error)
    raise ValueError(f"{worker} sent {message[0]!r}")
