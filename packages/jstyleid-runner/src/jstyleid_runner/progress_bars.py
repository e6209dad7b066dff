"""Progress as bars on a terminal, by Rich."""

import re
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from jstyleid_runner.progress import Meter, clock_text

_COUNTED = re.compile(r" (\d+)/(\d+)")


class BarReporter:
    """A bar for the whole work, with an estimate of the time left, and one for each thing done."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._meter = Meter()
        self._progress = Progress(
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
        """Say something once, above the bars."""
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
