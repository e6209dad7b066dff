"""How busy the workers were: pure arithmetic on spans of time."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Span:
    """From `start` to `end`, both in seconds on one clock; `end` is not before `start`."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start


@dataclass(frozen=True)
class Load:
    """How busy one worker was.

    Attributes:
        busy: seconds in which it did at least one task.
        share: of the time from the first start of all workers to their last end.
    """

    worker: str
    tasks: int
    busy: float
    share: float


@dataclass(frozen=True)
class Utilisation:
    """How busy all were.

    Attributes:
        span: from the first start to the last end; None where nothing was done.
        loads: one a worker, in the order given.
        share: the mean of the workers' shares.
    """

    span: Span | None
    loads: tuple[Load, ...]
    share: float


def span_of(started: float, seconds: float | None) -> Span:
    """A span that began at `started`; a length that is unknown or makes no sense counts as none."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        seconds = 0.0
    return Span(started, started + seconds)


def busy_seconds(spans: Iterable[Span]) -> float:
    """The time that is in at least one of the spans."""
    busy, reached = 0.0, -math.inf
    for span in sorted(spans):
        busy += max(0.0, span.end - max(span.start, reached))
        reached = max(reached, span.end)
    return busy


def utilisation(work: Mapping[str, Sequence[Span]]) -> Utilisation:
    """The figures of what each worker did, by its name."""
    spans = [span for done in work.values() for span in done]
    if not spans:
        return Utilisation(None, tuple(Load(worker, 0, 0.0, 0.0) for worker in work), 0.0)
    whole = Span(min(span.start for span in spans), max(span.end for span in spans))
    loads = tuple(_load(worker, done, whole) for worker, done in work.items())
    return Utilisation(whole, loads, sum(load.share for load in loads) / len(loads))


def _load(worker: str, done: Sequence[Span], whole: Span) -> Load:
    busy = busy_seconds(done)
    return Load(worker, len(done), busy, busy / whole.seconds if whole.seconds else 0.0)
