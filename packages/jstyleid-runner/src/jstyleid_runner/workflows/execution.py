"""The execution of what is left of a run: scheduler, ledger and workers put together."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jstyleid_core.errors import JStyleIDError
from jstyleid_core.files import hash_file, write_whole
from jstyleid_runner.planning.monitoring import USUAL, Monitoring
from jstyleid_runner.planning.pending import PendingWork
from jstyleid_runner.planning.plan import Plan
from jstyleid_runner.reports.contact_sheet import write_style_sheet
from jstyleid_runner.reports.progress import Display
from jstyleid_runner.scheduling.ledger import Entry, Ledger, Output
from jstyleid_runner.scheduling.scheduler import Scheduler
from jstyleid_runner.scheduling.state import SchedulerState
from jstyleid_runner.scheduling.task import State, Task
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.worker.payloads import GeneratePayload, Payload, payloads_of
from jstyleid_runner.workflows.model import ModelSource
from jstyleid_runner.workflows.session import RunCounts


def bullet_list(lines: Sequence[str], most: int) -> str:
    """The first lines, indented, and how many more there are."""
    shown = [f"  {line}" for line in lines[:most]]
    if len(lines) > most:
        shown.append(f"  and {len(lines) - most} more")
    return "\n".join(shown)


class PictureStore:
    """The `Store` of a run.

    Args:
        root: the run's folder.
        paths: path of each task's output, by the task's id.
    """

    def __init__(self, root: Path, paths: Mapping[str, Path]) -> None:
        self._root, self._paths = root, paths

    def keep(self, task: Task, product: bytes) -> Output:
        """Write a picture.

        Raises:
            OutputError: the folder cannot be written to, or the disk is full.
        """
        path = self._paths[task.id]
        write_whole(path, product)
        return describe_output(path, self._root, hashlib.sha256(product).hexdigest())


def describe_output(path: Path, root: Path, sha256: str) -> Output:
    """A file of a run as the ledger holds it."""
    status = path.stat()
    return Output(path.relative_to(root).as_posix(), sha256, status.st_size, status.st_mtime_ns)


class RunMonitor:
    """The `Monitor` of a run.

    Args:
        plan: plan of the run.
        folder: folder of the run.
        results: paths of the missing results, by their tasks' ids.
        display: the display.
        counts: kept up to date.
    """

    def __init__(
        self,
        plan: Plan,
        folder: OutFolder,
        results: Mapping[str, Path],
        display: Display,
        counts: RunCounts,
    ) -> None:
        self._plans = {style.style: style for style in plan.styles}
        self._folder, self._results = folder, results
        self._display, self._counts = display, counts
        self._left = dict.fromkeys(self._plans, 0)
        for style in plan.styles:
            ids = [(transfer or generate).id for generate, transfer in style.pairs]
            self._left[style.style] = sum(id in results for id in ids)
        self._at_work: dict[str, list[Task]] = {}
        self._costs: dict[str, int] = {}
        self._shown: dict[str, float] = {}

    def began(self, worker: str, tasks: Sequence[Task]) -> None:
        """A worker has been given work."""
        if tasks[0].style in self._plans:
            # A sheet that shows less than there is would outlive a stop.
            self._folder.sheet(tasks[0].style).unlink(missing_ok=True)
        self._counts.begun.update(task.id for task in tasks)
        self._at_work[worker], self._shown[worker] = list(tasks), 0.0
        self._costs[worker] = sum(task.cost for task in tasks)
        self._display.worker(worker, ", ".join(task.id for task in tasks))

    def doing(self, worker: str, detail: str, share: float) -> None:
        """A worker says what it is at."""
        self._display.worker(worker, detail)
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
        self._counts.done += 1
        self._left[task.style] -= 1
        self._display.finished(self._results[task.id])
        if not self._left[task.style]:
            write_style_sheet(self._folder, self._plans[task.style])
            if self._folder.styles:
                return
            for number, _ in enumerate(self._plans[task.style].references):
                self._folder.inverted(task.style, number).unlink(missing_ok=True)

    def trouble(self, text: str) -> None:
        """Something went wrong and was dealt with."""
        self._display.note(text)

    def _advance(self, worker: str, done: float) -> None:
        self._display.advance(done - self._shown[worker])
        self._shown[worker] = done


_SHOWN = 5
"""Failed jobs that a message lists."""


class IncompleteError(JStyleIDError):
    """Some jobs of a run were set aside; everything else is done."""


@dataclass(frozen=True)
class RunRequest:
    """A run: its plan, settings, folder, and what is seen of its trainings."""

    plan: Plan
    settings: RunSettings
    folder: OutFolder
    force: bool = False
    monitoring: Monitoring = USUAL


def execute(
    request: RunRequest,
    pending: PendingWork,
    model: ModelSource,
    fingerprint: str,
    display: Display,
    counts: RunCounts,
) -> None:
    """Do all pending work of a run.

    Args:
        request: the run.
        pending: pending work of the run.
        model: checkpoint and workers, which are started only if there is work for them.
        fingerprint: fingerprint of the checkpoint.
        display: display of the progress.
        counts: figures of the run, kept up to date.

    Raises:
        IncompleteError: jobs failed too often, and were set aside.
        InputError: something given turned out to be unusable.
        OutputError: a picture or the ledger cannot be written.
    """
    plan, folder = request.plan, request.folder
    shared = len(model.workers) > 1 or folder.styles is not None
    payloads = payloads_of(pending, folder, model.source, keep_styles=shared)
    tasks = plan.tasks
    pictures = {(transfer or generate).id
                for style in plan.styles for generate, transfer in style.pairs}
    results = {id: pending.outputs[id] for id in payloads if id in pictures}
    given = {payload.lora for payload in payloads.values() if isinstance(payload, GeneratePayload)}
    loras = tuple(sorted(lora for lora in given if lora and lora.exists()))
    with Ledger(folder.ledger) as ledger:
        ledger.plan(tasks)
        _reconcile(ledger, tasks, payloads, pending.outputs, folder)
        scheduler_state = SchedulerState(tasks, ledger.states())
        executor = model.executor(
            request.settings, folder, loras, fingerprint, lambda task: payloads[task.id])
        monitor = RunMonitor(plan, folder, results, display, counts)
        store = PictureStore(folder.root, pending.outputs)
        Scheduler(
            scheduler_state, ledger, executor, store, monitor, model.workers, plan.batch).run()
        failed = [entry for entry in ledger.entries()
                  if entry.id in payloads and entry.state is State.QUARANTINED]
    if failed:
        raise IncompleteError(_failed_message(folder, failed, counts))


def _reconcile(
    ledger: Ledger,
    tasks: Sequence[Task],
    payloads: Mapping[str, Payload],
    paths: Mapping[str, Path],
    folder: OutFolder,
) -> None:
    """Bring the ledger into line with the files: a picture counts by its provenance."""
    states = ledger.states()
    done = {task.id for task in tasks if states.get(task.id) is State.DONE}
    ledger.lost(id for id in done if id in payloads)
    ledger.found({
        task.id: _output(paths.get(task.id), folder)
        for task in tasks if task.id not in payloads and task.id not in done
    })


def _output(path: Path | None, folder: OutFolder) -> Output | None:
    if path is None or not path.exists():
        return None
    return describe_output(path, folder.root, hash_file(path))


def _failed_message(folder: OutFolder, failed: Sequence[Entry], counts: RunCounts) -> str:
    return "\n".join([
        f"{counts.done} of {counts.total} pictures are there; {len(failed)} jobs were set aside:",
        bullet_list([f"{entry.id}: {entry.error}" for entry in failed], _SHOWN),
        f"See {folder.log}. jstyleid retry {folder.root} lets them be tried again.",
    ])
