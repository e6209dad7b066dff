"""Progress: what is counted, how the time left is estimated, and what a display must offer."""

import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

_WINDOW = 200
"""Steps the rate is measured over: long enough to be calm, short enough to follow a change."""


class Reporter(Protocol):
    """A display of what a command does. Commands and the executor know no other output."""

    def note(self, text: str) -> None:
        """Say something once."""
        ...

    def preparing(self, what: str, done: int, total: int) -> None:
        """Something before the work proper: compiling, downloading, reading weights."""
        ...

    def begin(self, total: int, done: int, evaluations: int, results: str = "pictures") -> None:
        """The work begins: how many results, how many are there, UNet evaluations ahead."""
        ...

    def revise(self, evaluations: int) -> None:
        """So many UNet evaluations more are ahead than was said; fewer, if negative."""
        ...

    def stage(self, name: str, steps: int, evaluations: int) -> None:
        """A job of so many steps begins."""
        ...

    def step(self, detail: str = "") -> None:
        """A step of the current stage is done, and what there is to say of it."""
        ...

    def advance(self, evaluations: float) -> None:
        """So many UNet evaluations more are done, by whichever worker."""
        ...

    def worker(self, name: str, detail: str) -> None:
        """What one of several workers is at, perhaps with `done/total`."""
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
        """So many evaluations more are done."""
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


def make_reporter() -> Reporter:
    """Bars for a terminal, plain lines for everything else, both on stderr."""
    if sys.stderr.isatty():
        from jstyleid_runner.progress_bars import BarReporter

        return BarReporter()
    from jstyleid_runner.progress_lines import LineReporter

    return LineReporter()
