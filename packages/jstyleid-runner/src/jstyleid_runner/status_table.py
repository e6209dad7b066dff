"""The state of a run for a terminal, by Rich."""

from datetime import datetime
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jstyleid_runner.progress import clock_text
from jstyleid_runner.run_status import RunStatus, StageStatus, WorkerStatus

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
