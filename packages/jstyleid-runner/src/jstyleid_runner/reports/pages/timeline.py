"""The timeline of a run: the ledger on one page, with a row a worker and a bar a task.

A row is SVG with one path a stage: a path of ten thousand rectangles is drawn at once, where as
many elements would be slow. The coordinates are seconds; the page stretches them to its width, and
zooms by changing the view box.
"""

import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from jstyleid_runner.reports.pages.page import write_page
from jstyleid_runner.reports.progress import clock_text
from jstyleid_runner.scheduling.ledger import Entry
from jstyleid_runner.scheduling.task import Stage, State


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
class WorkerLoad:
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


@dataclass
class StageTotal:
    """The sums of one stage.

    Attributes:
        states: how many tasks are in each state.
        attempts: of all tasks; more than tasks were begun where some failed.
        seconds: of the last attempts.
        evaluations: of the UNet, in the finished tasks.
    """

    stage: Stage
    states: dict[State, int]
    attempts: int = 0
    seconds: float = 0.0
    evaluations: int = 0

    @property
    def tasks(self) -> int:
        """How many there are."""
        return sum(self.states.values())


def stage_totals(entries: Iterable[Entry], attempts: Iterable[Attempt]) -> list[StageTotal]:
    """The sums of every stage that has tasks, in the order of a style's making."""
    totals = {stage: StageTotal(stage, dict.fromkeys(State, 0)) for stage in Stage}
    for entry in entries:
        total = totals[Stage(entry.stage)]
        total.states[entry.state] += 1
        total.attempts += entry.attempts
        total.evaluations += entry.cost if entry.state is State.DONE else 0
    for attempt in attempts:
        totals[Stage(attempt.entry.stage)].seconds += attempt.span.seconds
    return [total for total in totals.values() if total.tasks]


_FAILED = "failed"


def row_svg(attempts: Sequence[Attempt], whole: Span) -> str:
    """The bars of one worker's attempts, in a view of the time from `whole.start` on."""
    svg = ElementTree.Element("svg", {
        "class": "bars", "viewBox": f"0 0 {max(whole.seconds, 1e-3):.3f} 1",
        "preserveAspectRatio": "none", "aria-hidden": "true",
    })
    paths: dict[str, list[str]] = {}
    for attempt in attempts:
        paths.setdefault(attempt.entry.stage, []).append(_box(attempt.span, whole, 0.0))
        if attempt.entry.error:
            # A band at the foot of the bar, since colour alone does not tell everybody.
            paths.setdefault(_FAILED, []).append(_box(attempt.span, whole, 0.72))
    for name in sorted(paths, key=lambda name: name == _FAILED):
        ElementTree.SubElement(svg, "path", {"class": name, "d": "".join(paths[name])})
    return ElementTree.tostring(svg, encoding="unicode")


def _box(span: Span, whole: Span, top: float) -> str:
    start = span.start - whole.start
    return f"M{start:.3f} {top}h{span.seconds:.3f}V1H{start:.3f}z"


@dataclass(frozen=True)
class _Row:
    """A worker's row of the chart."""

    load: WorkerLoad
    svg: str


@dataclass(frozen=True)
class _Line:
    """A task's line of the table, from which the page's script takes what its bar means.

    Attributes:
        row: of the chart; None where the task is not drawn.
        start, end: in seconds after the first start.
    """

    entry: Entry
    row: int | None = None
    start: float = 0.0
    end: float = 0.0


def write_timeline(
    path: Path,
    entries: Sequence[Entry],
    *,
    title: str = "Timeline",
    now: float | None = None,
) -> None:
    """Write the page: one row a worker, one bar a task's last attempt, sums and failures.

    Args:
        path: of the page.
        entries: what the ledger holds, in the plan's order.
        title: the heading.
        now: the time of day, in seconds since 1970; tasks that are running last until then.

    Raises:
        OutputError: the page cannot be written.
    """
    from markupsafe import Markup

    now = time.time() if now is None else now
    attempts = [one for entry in entries if (one := attempt_of(entry, now)) is not None]
    rows = by_worker(attempts)
    used = utilisation({
        worker: [attempt.span for attempt in done] for worker, done in rows.items()
    })
    whole = used.span or Span(now, now)
    write_page(
        path, "timeline", title=title, used=used, whole=whole, stages=list(Stage),
        rows=[_Row(load, Markup(row_svg(done, whole)))
              for load, done in zip(used.loads, rows.values(), strict=True)],
        totals=stage_totals(entries, attempts), states=list(State),
        lines=_lines(entries, attempts, list(rows), whole),
        failed=[entry for entry in entries if entry.error or entry.state is State.QUARANTINED],
        duration=_duration, date=_date,
    )


def _lines(
    entries: Sequence[Entry], attempts: Sequence[Attempt], workers: Sequence[str], whole: Span
) -> list[_Line]:
    place = {worker: number for number, worker in enumerate(workers)}
    drawn = {
        one.entry.id: _Line(one.entry, place[one.worker], one.span.start - whole.start,
                            one.span.end - whole.start)
        for one in attempts
    }
    return [drawn.get(entry.id) or _Line(entry) for entry in entries]


def _duration(seconds: float) -> str:
    """Short ones with a fraction, so that they can be told from each other."""
    return f"{seconds:.2f} s" if seconds < 60 else clock_text(seconds)


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
