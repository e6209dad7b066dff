"""The figures of a run, from the entries of its ledger: per stage, per worker, and over time.

Status, summary, plan and timeline show these figures; none of them counts for itself.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jstyleid_runner.scheduling.ledger import Entry
from jstyleid_runner.scheduling.task import Stage, State

_LAST_SECOND = 253_402_300_799
"""The last second of the year 9999; later times are no times."""


@dataclass(frozen=True)
class StageFigures:
    """The jobs of one stage, or of all stages.

    Attributes:
        stage: name of the stage.
        states: number of jobs in each state.
        attempts: attempts at all jobs.
        evaluations: UNet evaluations of all jobs.
        evaluations_done: UNet evaluations of the finished jobs.
        seconds: time of the last attempts of all jobs.
        rate: seconds of a UNet evaluation in the finished jobs; None while there are none.
    """

    stage: str
    states: Mapping[State, int]
    attempts: int
    evaluations: int
    evaluations_done: int
    seconds: float
    rate: float | None

    @property
    def jobs(self) -> int:
        """Number of jobs."""
        return sum(self.states.values())

    @property
    def done(self) -> int:
        """Number of finished jobs."""
        return self.states[State.DONE]

    @property
    def set_aside(self) -> int:
        """Number of jobs that failed too often."""
        return self.states[State.QUARANTINED]

    @property
    def jobs_left(self) -> int:
        """Number of jobs that are not finished."""
        return self.jobs - self.done

    @property
    def evaluations_left(self) -> int:
        """UNet evaluations of the jobs that are not finished."""
        return self.evaluations - self.evaluations_done


@dataclass(frozen=True)
class WorkerFigures:
    """The jobs of one worker.

    Attributes:
        worker: name of the worker.
        jobs: ids of the jobs.
        since: start of the earliest of them, in seconds since 1970; None where none was begun.
        seconds: time of the last attempts of all of them.
    """

    worker: str
    jobs: tuple[str, ...]
    since: float | None
    seconds: float


def stage_figures(
    entries: Iterable[Entry], seconds: Mapping[str, float] | None = None
) -> tuple[StageFigures, ...]:
    """The figures of every stage that has jobs, in the order of a style's making.

    Args:
        entries: entries of a ledger.
        seconds: time of the last attempt, by a job's id; the entries' own time if left out.
    """
    by_stage: dict[str, list[Entry]] = {}
    for entry in entries:
        by_stage.setdefault(entry.stage, []).append(entry)
    return tuple(_figures(stage.value, by_stage[stage.value], seconds)
                 for stage in Stage if stage.value in by_stage)


def total(stages: Sequence[StageFigures]) -> StageFigures:
    """The sums over all stages; without a rate, for stages differ in what they do."""
    return StageFigures(
        "in all",
        {state: sum(stage.states[state] for stage in stages) for state in State},
        sum(stage.attempts for stage in stages),
        sum(stage.evaluations for stage in stages),
        sum(stage.evaluations_done for stage in stages),
        sum(stage.seconds for stage in stages),
        None,
    )


def worker_figures(entries: Iterable[Entry]) -> tuple[WorkerFigures, ...]:
    """The figures of every worker that is named in the entries, gpu2 before gpu10."""
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.worker:
            by_name.setdefault(entry.worker, []).append(entry)
    return tuple(
        WorkerFigures(
            name,
            tuple(entry.id for entry in by_name[name]),
            min((entry.started for entry in by_name[name] if entry.started is not None),
                default=None),
            sum(entry.seconds or 0.0 for entry in by_name[name]),
        )
        for name in sorted(by_name, key=worker_order)
    )


def worker_order(name: str) -> tuple[list[tuple[str, int]], str]:
    """A key that sorts workers by their names, with numbers as such."""
    parts = re.findall(r"([^0-9]*)([0-9]{0,18})", name)
    return [(text, int(number or 0)) for text, number in parts], name


def _figures(
    name: str, entries: Sequence[Entry], seconds: Mapping[str, float] | None
) -> StageFigures:
    done = [entry for entry in entries if entry.state is State.DONE]
    measured = [entry for entry in done if entry.seconds is not None]
    evaluations = sum(entry.cost for entry in measured)
    took = sum(entry.seconds or 0.0 for entry in measured)
    return StageFigures(
        name,
        {state: sum(entry.state is state for entry in entries) for state in State},
        sum(entry.attempts for entry in entries),
        sum(entry.cost for entry in entries),
        sum(entry.cost for entry in done),
        sum((entry.seconds if seconds is None else seconds.get(entry.id)) or 0.0
            for entry in entries),
        took / evaluations if evaluations else None,
    )


@dataclass(frozen=True, order=True)
class Span:
    """From `start` to `end`, both in seconds on one clock; `end` is not before `start`."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """The length of the span."""
        return self.end - self.start


@dataclass(frozen=True)
class WorkerLoad:
    """The busy time of one worker.

    Attributes:
        busy: seconds in which it did at least one task.
        share: busy share of the time from the first start of all workers to their last end.
    """

    worker: str
    tasks: int
    busy: float
    share: float


@dataclass(frozen=True)
class Utilisation:
    """The busy time of all workers.

    Attributes:
        span: time from the first start to the last end; None where nothing was done.
        loads: busy time of each worker, in the order given.
        share: the mean of the workers' shares.
    """

    span: Span | None
    loads: tuple[WorkerLoad, ...]
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
        return Utilisation(None, tuple(WorkerLoad(worker, 0, 0.0, 0.0) for worker in work), 0.0)
    whole = Span(min(span.start for span in spans), max(span.end for span in spans))
    loads = tuple(_load(worker, done, whole) for worker, done in work.items())
    return Utilisation(whole, loads, sum(load.share for load in loads) / len(loads))


def _load(worker: str, done: Sequence[Span], whole: Span) -> WorkerLoad:
    busy = busy_seconds(done)
    return WorkerLoad(worker, len(done), busy, busy / whole.seconds if whole.seconds else 0.0)


@dataclass(frozen=True)
class Attempt:
    """A task's last attempt, by whom and when."""

    entry: Entry
    worker: str
    span: Span


def attempt_of(entry: Entry, now: float) -> Attempt | None:
    """The last attempt; None if its worker or its start is unknown.

    Args:
        entry: entry of the ledger.
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
    for attempt in sorted(attempts, key=lambda one: (worker_order(one.worker), one.span)):
        done.setdefault(attempt.worker, []).append(attempt)
    return done
