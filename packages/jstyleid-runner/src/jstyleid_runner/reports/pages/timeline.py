"""The timeline of a run: the ledger on one page, with a row a worker and a bar a task.

A row is SVG with one path a stage: a path of ten thousand rectangles is drawn at once, where as
many elements would be slow. The coordinates are seconds; the page stretches them to its width, and
zooms by changing the view box.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from xml.etree import ElementTree

from jstyleid_runner.reports.figures import (
    Attempt,
    Span,
    WorkerLoad,
    attempt_of,
    by_worker,
    stage_figures,
    utilisation,
)
from jstyleid_runner.reports.pages.page import write_page
from jstyleid_runner.reports.progress import clock_text
from jstyleid_runner.scheduling.ledger import Entry
from jstyleid_runner.scheduling.task import Stage, State

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
        row: row of the chart; None where the task has no bar.
        start: seconds from the first start of all tasks.
        end: seconds from the first start of all tasks.
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
        path: path of the page.
        entries: entries of the ledger, in the plan's order.
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
        totals=stage_figures(
            entries, {attempt.entry.id: attempt.span.seconds for attempt in attempts}),
        states=list(State),
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
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
