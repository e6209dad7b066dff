"""The jobs of the page: one at a time on the device, in the order that they were given.

The thread that calls `JobQueue.work` does all of them, for Jittor belongs to one thread. The
threads of the server add jobs, cancel them and look at them.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PIL import Image

from jstyleid_core.errors import JStyleIDError
from jstyleid_core.notes import shown
from jstyleid_runner.errors import temporary_report
from jstyleid_runner.reports.progress import Display, Meter

JobState = Literal["waiting", "running", "done", "failed", "cancelled"]
UNFINISHED: tuple[JobState, ...] = ("waiting", "running")
_KEPT = 50
"""Finished jobs that are remembered; their pictures are on the disk."""


class CancelledError(JStyleIDError):
    """The job was cancelled by the user."""


@dataclass(eq=False)
class Job:
    """A job, as the page shows it.

    Attributes:
        number: number of the job in this session, from 1.
        kind: the tab that it came from.
        title: what is made of what.
        message: what is being done, or why it failed.
        stage: steps that are done and steps of the current stage.
        preview: the picture as predicted after the last steps.
        results: files that were written, whole.
    """

    number: int
    kind: str
    title: str
    state: JobState = "waiting"
    message: str = ""
    stage: tuple[int, int] = (0, 0)
    preview: Image.Image | None = None
    results: list[Path] = field(default_factory=list)
    meter: Meter = field(default_factory=Meter)
    cancelled: bool = False


Work = Callable[["JobDisplay"], object]
"""The computation of a job, once its input is checked."""


class JobDisplay(Display):
    """The progress of a job; each report of it is a place to stop at.

    Every method raises a CancelledError once the job was cancelled.
    """

    def __init__(self, job: Job, changed: Callable[[], None]) -> None:
        self._job, self._changed = job, changed

    def note(self, text: str) -> None:
        """Show a text in place of the stage."""
        self._job.message = text
        self._go_on()

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show something before the work proper."""
        self._job.message, self._job.stage = what, (done, total)
        self._go_on()

    def begin(self, total: int, done: int, evaluations: int, results: str = "pictures") -> None:
        """Show the whole work."""
        self._job.meter.begin(total, done, evaluations)
        self._go_on()

    def revise(self, evaluations: int) -> None:
        """Make the whole longer or shorter."""
        self._job.meter.evaluations += evaluations
        self._go_on()

    def stage(self, name: str, steps: int, evaluations: int) -> None:
        """Show a new stage."""
        self._job.meter.stage(steps, evaluations)
        self._job.message, self._job.stage = name, (0, steps)
        self._go_on()

    def step(self, detail: str = "") -> None:
        """Count a step."""
        self._job.meter.step()
        done, total = self._job.stage
        self._job.stage = (done + 1, total)
        self._go_on()

    def advance(self, evaluations: float) -> None:
        """Count UNet evaluations."""
        self._job.meter.advance(evaluations)
        self._go_on()

    def worker(self, name: str, detail: str) -> None:
        """Show what a worker does; the page has none but itself."""
        self.note(f"{name}: {detail}")

    def preview(self, picture: Image.Image) -> None:
        """Show the picture as it is predicted now."""
        self._job.preview = picture
        self._changed()

    def finished(self, result: Path) -> None:
        """Show a result."""
        self._job.meter.finished()
        self._job.results.append(result)
        self._job.preview = None
        self._go_on()

    def close(self) -> None:
        """Nothing is held open."""

    def _go_on(self) -> None:
        self._changed()
        if self._job.cancelled:
            raise CancelledError("cancelled")


class JobQueue:
    """The jobs of a session.

    Attributes:
        version: grows with every change of a job, so that a page knows whether it is up to date.
    """

    def __init__(self) -> None:
        self.version = time.time_ns()  # another one than in a session before
        self._jobs: list[Job] = []
        self._works: dict[int, Work] = {}
        self._given = 0
        self._closed = False
        self._changes = threading.Condition()

    def submit(self, kind: str, title: str, make: Callable[[], Work]) -> Job:
        """Add a job.

        Args:
            kind: the tab that it comes from.
            title: what is made of what.
            make: checks the input and returns the work; what it raises is the job's failure.
        """
        with self._changes:
            self._given += 1
            job = Job(self._given, kind, title)
            self._jobs.append(job)
        try:
            with temporary_report():
                work = make()
        except JStyleIDError as error:
            self._end(job, "failed", shown(f"error: {error}"))
            return job
        with self._changes:
            self._works[job.number] = work
            self._changed()
        return job

    def jobs(self, kind: str) -> list[Job]:
        """The jobs of a tab, newest first."""
        return [job for job in reversed(self._jobs) if job.kind == kind]

    def cancel(self, numbers: list[int]) -> None:
        """Cancel jobs: one that waits at once, one that runs after its current step."""
        with self._changes:
            for job in self._jobs:
                if job.number in numbers and job.state in UNFINISHED:
                    job.cancelled = True
                    if self._works.pop(job.number, None) is not None:
                        self._end(job, "cancelled", "")

    def work(self) -> None:
        """Do the jobs as they come, until `close`."""
        while (job := self._next()) is not None:
            self._perform(job)

    def close(self) -> None:
        """End `work` after the current job's step."""
        with self._changes:
            self._closed = True
            self.cancel([job.number for job in self._jobs])
            self._changed()

    def _next(self) -> Job | None:
        with self._changes:
            self._changes.wait_for(lambda: self._works or self._closed)
            if self._closed:
                return None
            number = min(self._works)
            [job] = [job for job in self._jobs if job.number == number]
            self._work = self._works.pop(number)
            job.state = "running"
            self._changed()
            return job

    def _perform(self, job: Job) -> None:
        try:
            with temporary_report():
                self._work(JobDisplay(job, self._changed))
        except CancelledError:
            self._end(job, "cancelled", "")
        except JStyleIDError as error:
            self._end(job, "failed", shown(f"error: {error}"))
        else:
            self._end(job, "done", "")

    def _end(self, job: Job, state: JobState, message: str) -> None:
        with self._changes:
            job.state, job.message, job.preview = state, message, None
            ended = [each for each in self._jobs if each.state not in UNFINISHED]
            for old in ended[:-_KEPT]:
                self._jobs.remove(old)
            self._changed()

    def _changed(self) -> None:
        with self._changes:
            self.version += 1
            self._changes.notify_all()
