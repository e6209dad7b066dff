"""What happens in a run, shown; and what follows for a style when its last picture is there."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jstyleid_runner.planning.plan import Plan
from jstyleid_runner.reports.contact_sheet import write_style_sheet
from jstyleid_runner.reports.progress import Reporter
from jstyleid_runner.scheduling.ledger import Output
from jstyleid_runner.scheduling.task import Task
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.tally import Tally


class RunMonitor:
    """The `Monitor` of a run.

    Args:
        plan: of the run.
        folder: where it works.
        results: the pictures asked for that are not there yet, by their tasks' ids.
        reporter: the display.
        tally: kept up to date.
    """

    def __init__(
        self,
        plan: Plan,
        folder: OutFolder,
        results: Mapping[str, Path],
        reporter: Reporter,
        tally: Tally,
    ) -> None:
        self._plans = {style.style: style for style in plan.styles}
        self._folder, self._results = folder, results
        self._reporter, self._tally = reporter, tally
        self._left = dict.fromkeys(self._plans, 0)
        for style in plan.styles:
            ids = [(stylise or draw).id for draw, stylise in style.pairs]
            self._left[style.style] = sum(id in results for id in ids)
        self._at_work: dict[str, list[Task]] = {}
        self._costs: dict[str, int] = {}
        self._shown: dict[str, float] = {}

    def began(self, worker: str, tasks: Sequence[Task]) -> None:
        """A worker has been given work."""
        if tasks[0].style in self._plans:
            # A sheet that shows less than there is would outlive a stop.
            self._folder.sheet(tasks[0].style).unlink(missing_ok=True)
        self._tally.begun.update(task.id for task in tasks)
        self._at_work[worker], self._shown[worker] = list(tasks), 0.0
        self._costs[worker] = sum(task.cost for task in tasks)
        self._reporter.worker(worker, ", ".join(task.id for task in tasks))

    def doing(self, worker: str, detail: str, share: float) -> None:
        """A worker says what it is at."""
        self._reporter.worker(worker, detail)
        if self._at_work.get(worker):
            # It may begin anew within a task, as when a style is read or inverted for a picture.
            self._advance(worker, max(self._shown[worker], share * self._costs[worker]))

    def finished(self, worker: str, task: Task, output: Output | None) -> None:
        """A task is done."""
        tasks = self._at_work[worker]
        tasks.remove(task)
        if not tasks:
            self._advance(worker, float(self._costs[worker]))
        if task.id not in self._results:
            return
        self._tally.done += 1
        self._left[task.style] -= 1
        self._reporter.finished(self._results[task.id])
        if not self._left[task.style]:
            write_style_sheet(self._folder, self._plans[task.style])
            self._folder.inverted(task.style).unlink(missing_ok=True)

    def trouble(self, text: str) -> None:
        """Something went wrong and was dealt with."""
        self._reporter.note(text)

    def _advance(self, worker: str, done: float) -> None:
        self._reporter.advance(done - self._shown[worker])
        self._shown[worker] = done
