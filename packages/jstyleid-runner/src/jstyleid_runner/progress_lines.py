"""Progress as plain lines, for log files and pipes."""

import re
import sys
import time
from pathlib import Path
from typing import TextIO

from jstyleid_runner.progress import Meter, clock_text

_EVERY = 10.0
"""Seconds between two lines about the same thing."""
_COUNTED = re.compile(r" \d+/\d+.*")


class LineReporter:
    """A line when a job begins, when a result is finished, and now and then while training."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._meter = Meter()
        self._preparing = self._stage = ""
        self._said_at = 0.0
        self._steps = self._steps_done = 0
        self._workers: dict[str, tuple[str, float]] = {}

    def note(self, text: str) -> None:
        """Say something once."""
        print(text, file=self._stream, flush=True)

    def preparing(self, what: str, done: int, total: int) -> None:
        """Something before the work proper, said at its begin, its end and now and then."""
        now = time.monotonic()
        if what != self._preparing or done == total or now - self._said_at >= _EVERY:
            self._preparing, self._said_at = what, now
            self.note(f"{what} {done}/{total}")

    def begin(self, total: int, done: int, evaluations: int, results: str = "pictures") -> None:
        """Say how much there is to do."""
        self._meter.begin(total, done, evaluations)
        there = f", {done} there already" if done else ""
        self.note(f"{total} {results}{there}; {evaluations} UNet evaluations to do")

    def revise(self, evaluations: int) -> None:
        """Count with more or less to do."""
        self._meter.evaluations += evaluations

    def stage(self, name: str, steps: int, evaluations: int) -> None:
        """Say what begins."""
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
        """Say what a worker is at when it is something else, and now and then."""
        now, what = time.monotonic(), _COUNTED.sub("", detail)
        before, said_at = self._workers.get(name, ("", 0.0))
        if what != before or now - said_at >= _EVERY:
            self._workers[name] = (what, now)
            self.note(f"{name}: {detail}")

    def finished(self, result: Path) -> None:
        """Say which result is there, and how long the rest will take."""
        self._meter.finished()
        left = self._meter.left
        rest = "" if left is None else f", about {clock_text(left)} left"
        count = f"[{self._meter.done}/{self._meter.total}]"
        self.note(f"{count} {result}  {clock_text(self._meter.elapsed)} elapsed{rest}")

    def close(self) -> None:
        """Nothing is held open."""
