"""Progress displays: bars for a terminal, lines for everything else, both with the time left."""

import re
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from jstyleid_core.progress import Progress

_WINDOW = 200
"""Steps the rate is measured over: long enough to be calm, short enough to follow a change."""


class Display(Progress, Protocol):
    """A display of what a command does. Commands and the executor know no other output."""

    def begin(self, total: int, done: int, evaluations: int, results: str = "pictures") -> None:
        """The work begins: how many results, how many are there, UNet evaluations ahead."""
        ...

    def revise(self, evaluations: int) -> None:
        """Add to the expected UNet evaluations; a negative number takes away."""
        ...

    def advance(self, evaluations: float) -> None:
        """Count UNet evaluations that a worker has done."""
        ...

    def worker(self, name: str, detail: str) -> None:
        """Show the work of one of several workers, which may hold `done/total`."""
        ...

    def finished(self, result: Path) -> None:
        """A result has been saved."""
        ...

    def close(self) -> None:
        """Nothing more will be shown."""
        ...


@dataclass
class Meter:
    """The figures behind every display.

    Time is estimated from UNet evaluations, because they take nearly all of it and their number is
    known beforehand, whatever mix of jobs is left.
    """

    total: int = 0
    done: int = 0
    evaluations: float = 0
    evaluated: float = 0
    clock: Callable[[], float] = time.monotonic
    _per_step: float = 0
    _recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    _start: float = 0

    def begin(self, total: int, done: int, evaluations: int) -> None:
        """Start counting."""
        self.total, self.done, self.evaluations = total, done, evaluations
        self._start = self.clock()
        self._recent.append((self._start, 0.0))

    def stage(self, steps: int, evaluations: int) -> None:
        """A job begins."""
        # Of a training that was stopped right after its last step, none is left.
        self._per_step = evaluations / steps if steps else 0.0

    def step(self) -> None:
        """A step is done."""
        self.advance(self._per_step)

    def advance(self, evaluations: float) -> None:
        """Count evaluations that are done."""
        self.evaluated += evaluations
        self._recent.append((self.clock(), self.evaluated))

    def finished(self) -> None:
        """A result is done."""
        self.done += 1

    @property
    def elapsed(self) -> float:
        """Seconds since the work began."""
        return self.clock() - self._start

    @property
    def left(self) -> float | None:
        """Estimated seconds to the end, or None while nothing has been measured."""
        if len(self._recent) < 2:
            return None
        (first, before), (last, after) = self._recent[0], self._recent[-1]
        if after <= before:
            return None
        return (last - first) / (after - before) * (self.evaluations - self.evaluated)


def clock_text(seconds: float) -> str:
    """Seconds as `1:05` or `2:01:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def make_display() -> Display:
    """Bars for a terminal, plain lines for everything else, both on stderr."""
    if sys.stderr.isatty():
        return BarDisplay()
    return LineDisplay()


_COUNTED = re.compile(r" (\d+)/(\d+)")


class BarDisplay:
    """A bar for the whole work, with an estimate of the time left, and one for each thing done."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._meter = Meter()
        self._progress = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[detail]}"),
            console=self._console,
            transient=True,
        )
        self._whole: TaskID | None = None
        self._stage: TaskID | None = None
        self._workers: dict[str, TaskID] = {}
        self._name = ""
        self._steps = self._steps_done = 0

    def note(self, text: str) -> None:
        """Print a text above the bars."""
        self._console.print(text, markup=False, highlight=False)

    def preparing(self, what: str, done: int, total: int) -> None:
        """Something before the work proper."""
        self._show_stage(what, done, total)

    def begin(self, total: int, done: int, evaluations: int, results: str = "pictures") -> None:
        """Show the whole work."""
        self._meter.begin(total, done, evaluations)
        self._progress.start()
        self._drop_stage()
        self._whole = self._progress.add_task(results, detail="")
        self._show_whole()

    def revise(self, evaluations: int) -> None:
        """Make the whole longer or shorter."""
        self._meter.evaluations += evaluations
        self._show_whole()

    def stage(self, name: str, steps: int, evaluations: int) -> None:
        """Show a new stage."""
        self._meter.stage(steps, evaluations)
        self._drop_stage()
        self._name, self._steps, self._steps_done = name, steps, 0
        self._show_stage(name, 0, steps)

    def step(self, detail: str = "") -> None:
        """Advance both bars."""
        self._meter.step()
        self._steps_done += 1
        # With its name, because something may have been prepared in between.
        self._show_stage(self._name, self._steps_done, self._steps, detail)
        self._show_whole()

    def advance(self, evaluations: float) -> None:
        """Advance the whole."""
        self._meter.advance(evaluations)
        self._show_whole()

    def worker(self, name: str, detail: str) -> None:
        """Show what a worker is at, on a line of its own."""
        counted = _COUNTED.search(detail)
        done, total = (int(counted[1]), int(counted[2])) if counted else (0, 1)
        if name not in self._workers:
            self._progress.start()
            self._workers[name] = self._progress.add_task(escape(name), detail="")
        self._progress.update(
            self._workers[name], completed=done, total=max(total, 1), detail=escape(detail)
        )

    def finished(self, result: Path) -> None:
        """Name the result above the bars."""
        self._meter.finished()
        self.note(str(result))
        self._show_whole()

    def close(self) -> None:
        """Take the bars away."""
        self._progress.stop()

    def _show_whole(self) -> None:
        if self._whole is None:
            return
        meter = self._meter
        left = "" if meter.left is None else f", about {clock_text(meter.left)} left"
        detail = f"{meter.done}/{meter.total}, {clock_text(meter.elapsed)} elapsed{left}"
        total = max(meter.evaluations, 1)
        self._progress.update(self._whole, completed=meter.evaluated, total=total, detail=detail)

    def _show_stage(self, what: str, done: int, total: int, more: str = "") -> None:
        self._progress.start()
        text, detail = escape(what), ", ".join(filter(None, (f"{done}/{total}", escape(more))))
        if self._stage is None:
            self._stage = self._progress.add_task(text, total=total, completed=done, detail=detail)
        else:
            self._progress.update(
                self._stage, description=text, total=total, completed=done, detail=detail
            )

    def _drop_stage(self) -> None:
        if self._stage is not None:
            self._progress.remove_task(self._stage)
            self._stage = None


_EVERY = 10.0
"""Seconds between two lines about the same thing."""
_COUNT = re.compile(r" \d+/\d+.*")


class LineDisplay:
    """A line when a job begins, when a result is finished, and now and then while training."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._meter = Meter()
        self._preparing = self._stage = ""
        self._said_at = 0.0
        self._steps = self._steps_done = 0
        self._workers: dict[str, tuple[str, float]] = {}

    def note(self, text: str) -> None:
        """Print a text."""
        print(text, file=self._stream, flush=True)

    def preparing(self, what: str, done: int, total: int) -> None:
        """Something before the work proper, said at its begin, its end and now and then."""
        now = time.monotonic()
        if what != self._preparing or done == total or now - self._said_at >= _EVERY:
            self._preparing, self._said_at = what, now
            self.note(f"{what} {done}/{total}")

    def begin(self, total: int, done: int, evaluations: int, results: str = "pictures") -> None:
        """Print the amount of work."""
        self._meter.begin(total, done, evaluations)
        there = f", {done} there already" if done else ""
        self.note(f"{total} {results}{there}; {evaluations} UNet evaluations to do")

    def revise(self, evaluations: int) -> None:
        """Count with more or less to do."""
        self._meter.evaluations += evaluations

    def stage(self, name: str, steps: int, evaluations: int) -> None:
        """Print the name of a stage."""
        self._meter.stage(steps, evaluations)
        self._stage, self._steps, self._steps_done = name, steps, 0
        self._said_at = time.monotonic()
        self.note(f"{name}: {steps} steps")

    def step(self, detail: str = "") -> None:
        """Count a step, and now and then say its detail."""
        self._meter.step()
        self._steps_done += 1
        now = time.monotonic()
        if detail and now - self._said_at >= _EVERY:
            self._said_at = now
            self.note(f"{self._stage}: step {self._steps_done}/{self._steps}, {detail}")

    def advance(self, evaluations: float) -> None:
        """Count what a worker has done."""
        self._meter.advance(evaluations)

    def worker(self, name: str, detail: str) -> None:
        """Print the work of a worker when it changes, and now and then."""
        now, what = time.monotonic(), _COUNT.sub("", detail)
        before, said_at = self._workers.get(name, ("", 0.0))
        if what != before or now - said_at >= _EVERY:
            self._workers[name] = (what, now)
            self.note(f"{name}: {detail}")

    def finished(self, result: Path) -> None:
        """Print the path of a result, and the time left."""
        self._meter.finished()
        left = self._meter.left
        rest = "" if left is None else f", about {clock_text(left)} left"
        count = f"[{self._meter.done}/{self._meter.total}]"
        self.note(f"{count} {result}  {clock_text(self._meter.elapsed)} elapsed{rest}")

    def close(self) -> None:
        """Nothing is held open."""
