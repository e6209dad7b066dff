"""The status of a run: the figures of its ledger, and a table of them for the terminal."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jstyleid_runner.reports.progress import clock_text
from jstyleid_runner.scheduling.estimates import CostModel, measured
from jstyleid_runner.scheduling.ledger import Entry, read_entries
from jstyleid_runner.scheduling.task import Stage, State
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.lock import lock_holder


@dataclass(frozen=True)
class StageStatus:
    """The jobs of one stage.

    Attributes:
        rate: seconds of a UNet evaluation; None while no job of the stage was measured.
    """

    stage: str
    done: int
    running: int
    waiting: int
    set_aside: int
    rate: float | None


@dataclass(frozen=True)
class WorkerStatus:
    """What a worker is at: several jobs where they are computed together.

    Attributes:
        since: seconds since 1970.
    """

    worker: str
    jobs: tuple[str, ...]
    since: float


@dataclass(frozen=True)
class Trouble:
    """The last error of a job that is not done."""

    job: str
    attempts: int
    set_aside: bool
    error: str


@dataclass(frozen=True)
class RunStatus:
    """What `jstyleid status` says.

    Attributes:
        process: the run's, while it is at work.
        stages: those that have jobs, in the order of a style's making.
        workers: those that have work; none where no run is.
        seconds_left: an estimate, on as many workers as have work; None without a rate.
    """

    process: str | None
    stages: tuple[StageStatus, ...]
    workers: tuple[WorkerStatus, ...]
    troubles: tuple[Trouble, ...]
    seconds_left: float | None

    @property
    def whole(self) -> StageStatus:
        """The sums over all stages."""
        return StageStatus(
            "in all",
            sum(stage.done for stage in self.stages),
            sum(stage.running for stage in self.stages),
            sum(stage.waiting for stage in self.stages),
            sum(stage.set_aside for stage in self.stages),
            None,
        )

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def run_status(folder: OutFolder, now: float) -> RunStatus:
    """Look at a run, which may be at work; it is not disturbed.

    Args:
        folder: of the run.
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
    workers = _workers(running)
    return RunStatus(
        process=process,
        stages=tuple(_stage_status(stage, entries) for stage in Stage
                     if any(entry.stage == stage for entry in entries)),
        workers=workers,
        troubles=tuple(
            Trouble(entry.id, entry.attempts, entry.state is State.QUARANTINED, entry.error)
            for entry in entries if entry.error and entry.state is not State.DONE
        ),
        seconds_left=_seconds_left(entries, costs, now) / max(1, len(workers)) if costs else None,
    )


def _interrupted(entry: Entry) -> Entry:
    """What was running when its run ended waits for the next."""
    if entry.state is not State.RUNNING:
        return entry
    return replace(entry, state=State.WAITING, worker=None)


def _stage_status(stage: Stage, entries: Iterable[Entry]) -> StageStatus:
    there = [entry for entry in entries if entry.stage == stage]
    counts = {state: sum(entry.state is state for entry in there) for state in State}
    costs = measured(there)
    return StageStatus(
        stage.value,
        counts[State.DONE],
        counts[State.RUNNING],
        counts[State.WAITING],
        counts[State.QUARANTINED],
        costs.evaluation[stage] if costs else None,
    )


def _workers(running: Sequence[Entry]) -> tuple[WorkerStatus, ...]:
    names = {entry.worker for entry in running if entry.worker}
    found = []
    for name in sorted(names, key=lambda name: (len(name), name)):  # gpu2 before gpu10
        own = [entry for entry in running if entry.worker == name]
        since = min(entry.started for entry in own if entry.started is not None)
        found.append(WorkerStatus(name, tuple(entry.id for entry in own), since))
    return tuple(found)


def _seconds_left(entries: Iterable[Entry], costs: CostModel, now: float) -> float:
    """Of all workers together."""
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


def status_table(status: RunStatus, out: Path, now: float) -> RenderableType:
    """What to print of a run's state.

    Args:
        status: it.
        out: the run's folder.
        now: the time of day.
    """
    parts: list[RenderableType] = [_stages(status)]
    if status.workers:
        workers = Table("worker", "since", "for", box=None)
        workers.add_column("job", overflow="fold")
        for worker in status.workers:
            workers.add_row(*_worker_row(worker, now))
        parts.append(workers)
    for trouble in status.troubles[:_SHOWN]:
        what = "set aside" if trouble.set_aside else "to be tried again"
        # As Text, because errors may hold brackets, which Rich would take for markup.
        parts.append(Text(f"{trouble.job}: {what}, attempt {trouble.attempts}: {trouble.error}"))
    if len(status.troubles) > _SHOWN:
        parts.append(Text(f"and {len(status.troubles) - _SHOWN} more errors; --json lists all"))
    parts += [Text(line) for line in _ending(status, out)]
    return Group(*parts)


def _stages(status: RunStatus) -> Table:
    table = Table("stage", box=None)
    for name in ("done", "running", "waiting", "set aside", "s/evaluation"):
        table.add_column(name, justify="right")
    for stage in (*status.stages, status.whole):
        table.add_row(*_stage_row(stage))
    return table


def _stage_row(stage: StageStatus) -> tuple[str, ...]:
    counts = (stage.done, stage.running, stage.waiting, stage.set_aside)
    rate = "" if stage.rate is None else f"{stage.rate:.3g}"
    return (stage.stage, *map(str, counts), rate)


def _worker_row(worker: WorkerStatus, now: float) -> tuple[Text, ...]:
    since = datetime.fromtimestamp(worker.since).strftime("%H:%M:%S")
    more = f" and {len(worker.jobs) - 1} more" if len(worker.jobs) > 1 else ""
    lasted = clock_text(max(0.0, now - worker.since))
    return Text(worker.worker), Text(since), Text(lasted), Text(worker.jobs[0] + more)


def _ending(status: RunStatus, out: Path) -> list[str]:
    if status.process is not None:
        lines = [f"a run is at work, process {status.process}"]
    elif status.whole.waiting:
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
