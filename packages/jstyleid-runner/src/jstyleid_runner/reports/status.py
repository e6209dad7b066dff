"""The status of a run: the figures of its ledger, and a table of them for the terminal."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jstyleid_runner.reports.figures import (
    StageFigures,
    WorkerFigures,
    stage_figures,
    total,
    worker_figures,
)
from jstyleid_runner.reports.narrow import NarrowTable
from jstyleid_runner.reports.progress import clock_text
from jstyleid_runner.scheduling.estimates import CostModel, measured
from jstyleid_runner.scheduling.ledger import Entry, read_entries
from jstyleid_runner.scheduling.task import Stage, State
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.lock import lock_holder


@dataclass(frozen=True)
class Trouble:
    """The last error of a job that is not done."""

    job: str
    attempts: int
    set_aside: bool
    error: str


@dataclass(frozen=True)
class RunStatus:
    """The status that `jstyleid status` shows.

    Attributes:
        process: id of the process of a running run; None if no run is at work.
        stages: stages that have jobs.
        workers: workers that have work.
        seconds_left: an estimate, on as many workers as have work; None without a rate.
    """

    process: str | None
    stages: tuple[StageFigures, ...]
    workers: tuple[WorkerFigures, ...]
    troubles: tuple[Trouble, ...]
    seconds_left: float | None

    @property
    def whole(self) -> StageFigures:
        """The sums over all stages."""
        return total(self.stages)

    def facts(self) -> dict[str, Any]:
        """The status as JSON has it."""
        return {
            "process": self.process,
            "stages": tuple(
                {"stage": stage.stage, "done": stage.done,
                 "running": stage.states[State.RUNNING], "waiting": stage.states[State.WAITING],
                 "set_aside": stage.set_aside, "rate": stage.rate}
                for stage in self.stages
            ),
            "workers": tuple(
                {"worker": worker.worker, "jobs": worker.jobs, "since": worker.since}
                for worker in self.workers
            ),
            "troubles": tuple(asdict(trouble) for trouble in self.troubles),
            "seconds_left": self.seconds_left,
        }


def run_status(folder: OutFolder, now: float) -> RunStatus:
    """Look at a run, which may be at work; it is not disturbed.

    Args:
        folder: folder of the run.
        now: the time of day, by the run's clock.

    Raises:
        InputError: there is no ledger.
    """
    # The lock first: a run that ends in between has then written its last.
    process = lock_holder(folder.lock)
    entries = read_entries(folder.ledger)
    if process is None:
        entries = [_interrupted(entry) for entry in entries]
    running = [entry for entry in entries if entry.state is State.RUNNING]
    costs = measured(entries)
    workers = worker_figures(running)
    return RunStatus(
        process=process,
        stages=stage_figures(entries),
        workers=workers,
        troubles=tuple(
            Trouble(entry.id, entry.attempts, entry.state is State.QUARANTINED, entry.error)
            for entry in entries if entry.error and entry.state is not State.DONE
        ),
        seconds_left=_seconds_left(entries, costs, now) / max(1, len(workers)) if costs else None,
    )


def _interrupted(entry: Entry) -> Entry:
    """The entry of a job that was running when its run ended: it is waiting."""
    if entry.state is not State.RUNNING:
        return entry
    return replace(entry, state=State.WAITING, worker=None)


def _seconds_left(entries: Iterable[Entry], costs: CostModel, now: float) -> float:
    """The time left of all workers together."""
    left = 0.0
    for entry in entries:
        if entry.state in (State.WAITING, State.RUNNING):
            seconds = entry.cost * costs.evaluation[Stage(entry.stage)]
            if entry.state is State.RUNNING and entry.started is not None:
                seconds = max(0.0, seconds - max(0.0, now - entry.started))
            left += seconds
    return left


_SHOWN = 20
"""Troubles that are listed; `--json` has all."""
_STATES = (State.DONE, State.RUNNING, State.WAITING, State.QUARANTINED)
"""States in the order of the table's columns."""


def status_table(status: RunStatus, out: Path, now: float) -> RenderableType:
    """The status as Rich prints it.

    Args:
        status: status to show.
        out: the run's folder.
        now: the time of day.
    """
    parts: list[RenderableType] = [_stages(status)]
    if status.workers:
        workers = Table("worker", "since", "for", box=None)
        workers.add_column("job", overflow="fold")
        for worker in status.workers:
            workers.add_row(*_worker_row(worker, now))
        parts.append(NarrowTable(workers))
    for trouble in status.troubles[:_SHOWN]:
        what = "set aside" if trouble.set_aside else "to be tried again"
        # As Text, because errors may hold brackets, which Rich would take for markup.
        parts.append(Text(f"{trouble.job}: {what}, attempt {trouble.attempts}: {trouble.error}"))
    if len(status.troubles) > _SHOWN:
        parts.append(Text(f"and {len(status.troubles) - _SHOWN} more errors; --json lists all"))
    parts += [Text(line) for line in _ending(status, out)]
    return Group(*parts)


def _stages(status: RunStatus) -> NarrowTable:
    table = Table("stage", box=None)
    for name in ("done", "running", "waiting", "set aside", "s/evaluation"):
        table.add_column(name, justify="right")
    for stage in (*status.stages, status.whole):
        table.add_row(*_stage_row(stage))
    return NarrowTable(table)


def _stage_row(stage: StageFigures) -> tuple[str, ...]:
    counts = (stage.states[state] for state in _STATES)
    rate = "" if stage.rate is None else f"{stage.rate:.3g}"
    return (stage.stage, *map(str, counts), rate)


def _worker_row(worker: WorkerFigures, now: float) -> tuple[Text, ...]:
    assert worker.since is not None
    since = datetime.fromtimestamp(worker.since).strftime("%H:%M:%S")
    more = f" and {len(worker.jobs) - 1} more" if len(worker.jobs) > 1 else ""
    lasted = clock_text(max(0.0, now - worker.since))
    return Text(worker.worker), Text(since), Text(lasted), Text(worker.jobs[0] + more)


def _ending(status: RunStatus, out: Path) -> list[str]:
    if status.process is not None:
        lines = [f"a run is at work, process {status.process}"]
    elif status.whole.states[State.WAITING]:
        lines = ["no run is at work; the same `jstyleid run` goes on"]
    else:
        lines = ["no run is at work"]
    if status.whole.set_aside:
        lines.append(f"`jstyleid retry {out}` lets what was set aside be tried again")
    if status.seconds_left:
        workers = max(1, len(status.workers))
        on = "1 worker" if workers == 1 else f"{workers} workers"
        lines.append(f"about {clock_text(status.seconds_left)} left on {on}")
    return lines
