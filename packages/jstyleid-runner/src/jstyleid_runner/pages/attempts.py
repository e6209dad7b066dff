"""The attempts that a ledger knows the time of: each task's last one."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jstyleid_runner.pages.utilisation import Span, span_of
from jstyleid_runner.scheduling.ledger import Entry
from jstyleid_runner.scheduling.task import State

_LAST_SECOND = 253_402_300_799
"""Of the year 9999: no clock shows more."""


@dataclass(frozen=True)
class Attempt:
    """A task's last attempt, by whom and when."""

    entry: Entry
    worker: str
    span: Span


def attempt_of(entry: Entry, now: float) -> Attempt | None:
    """The last attempt; None where it is not known who made it, or when.

    Args:
        entry: what the ledger holds.
        now: the time of day; a task that is running lasts until then.
    """
    if entry.worker is None or entry.started is None or not 0 <= entry.started <= _LAST_SECOND:
        return None
    # While a task is running, `seconds` is still that of the attempt before.
    seconds = now - entry.started if entry.state is State.RUNNING else entry.seconds
    return Attempt(entry, entry.worker, span_of(entry.started, seconds))


def by_worker(attempts: Iterable[Attempt]) -> Mapping[str, Sequence[Attempt]]:
    """Each worker's attempts in the order of their start; the workers by name, 2 before 10."""
    done: dict[str, list[Attempt]] = {}
    for attempt in sorted(attempts, key=lambda one: (_natural(one.worker), one.worker, one.span)):
        done.setdefault(attempt.worker, []).append(attempt)
    return done


def _natural(name: str) -> list[tuple[str, int]]:
    return [(text, int(number or 0)) for text, number in re.findall(r"([^0-9]*)([0-9]*)", name)]
