"""Progress as plain lines, for log files and pipes."""

import sys
import time
from pathlib import Path
from typing import TextIO

from jstyleid_runner.progress import Meter, clock_text

_EVERY = 10.0
"""Seconds between two lines about the same preparation."""


class LineReporter:
    """A line when a job begins and when a picture is finished."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._meter = Meter()
        self._preparing = ""
        self._said_at = 0.0

    def note(self, text: str) -> None:
        """Say something once."""
        print(text, file=self._stream, flush=True)

    def preparing(self, what: str, done: int, total: int) -> None:
        """Something before the work proper, said at its begin, its end and now and then."""
        now = time.monotonic()
        if what != self._preparing or done == total or now - self._said_at >= _EVERY:
            self._preparing, self._said_at = what, now
            self.note(f"{what} {done}/{total}")

    def begin(self, pictures: int, done: int, evaluations: int) -> None:
        """Say how much there is to do."""
        self._meter.begin(pictures, done, evaluations)
        there = f", {done} there already" if done else ""
        self.note(f"{pictures} pictures{there}; {evaluations} UNet evaluations to do")

    def stage(self, name: str, steps: int, evaluations: int) -> None:
        """Say what begins."""
        self._meter.stage(steps, evaluations)
        self.note(f"{name}: {steps} steps")

    def step(self) -> None:
        """Count a step."""
        self._meter.step()

    def finished(self, picture: Path) -> None:
        """Say which picture is there, and how long the rest will take."""
        self._meter.finished()
        left = self._meter.left
        rest = "" if left is None else f", about {clock_text(left)} left"
        count = f"[{self._meter.done}/{self._meter.pictures}]"
        self.note(f"{count} {picture}  {clock_text(self._meter.elapsed)} elapsed{rest}")

    def close(self) -> None:
        """Nothing is held open."""
