"""The summary of a run at its end: figures, and tables of them for the terminal."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jstyleid_runner.reports.progress import clock_text
from jstyleid_runner.scheduling.ledger import Entry
from jstyleid_runner.scheduling.task import Stage, State


@dataclass(frozen=True)
class StageSummary:
    """The jobs of one stage that the run has begun.

    Attributes:
        seconds: of all workers together, in the last attempt at each job.
        rate: seconds of a UNet evaluation; None where none was made.
    """

    stage: str
    done: int
    set_aside: int
    seconds: float
    rate: float | None


@dataclass(frozen=True)
class WorkerSummary:
    """What one worker has done.

    Attributes:
        seconds: in which it was at its jobs.
        share: of the run's time, from 0 to 1.
    """

    worker: str
    jobs: int
    seconds: float
    share: float


@dataclass(frozen=True)
class RunSummary:
    """The figures of a run.

    Attributes:
        stages: those it had jobs of, in the order of a style's making.
        workers: those that had work.
        seconds: from its start to its end, by a clock that never jumps.
    """

    stages: tuple[StageSummary, ...]
    workers: tuple[WorkerSummary, ...]
    seconds: float


def run_summary(entries: Sequence[Entry], begun: Collection[str], seconds: float) -> RunSummary:
    """Sum up a run.

    Args:
        entries: what its ledger holds; of earlier runs too.
        begun: ids of the jobs that were begun in this one.
        seconds: how long it took.
    """
    own = [entry for entry in entries if entry.id in begun]
    stages = ((stage, [entry for entry in own if entry.stage == stage]) for stage in Stage)
    # By length first: gpu2 before gpu10.
    names = sorted({entry.worker for entry in own if entry.worker},
                   key=lambda name: (len(name), name))
    workers = ((name, [entry for entry in own if entry.worker == name]) for name in names)
    return RunSummary(
        tuple(_stage(stage, there) for stage, there in stages if there),
        tuple(_worker(name, done, seconds) for name, done in workers),
        seconds,
    )


def _stage(stage: Stage, entries: Sequence[Entry]) -> StageSummary:
    done = [entry for entry in entries if entry.state is State.DONE]
    evaluations = sum(entry.cost for entry in done)
    return StageSummary(
        stage.value,
        len(done),
        sum(entry.state is State.QUARANTINED for entry in entries),
        _seconds(entries),
        _seconds(done) / evaluations if evaluations else None,
    )


def _worker(name: str, entries: Sequence[Entry], seconds: float) -> WorkerSummary:
    busy = _seconds(entries)
    return WorkerSummary(name, len(entries), busy, busy / seconds if seconds else 0.0)


def _seconds(entries: Sequence[Entry]) -> float:
    return sum(entry.seconds or 0.0 for entry in entries)


def summary_table(summary: RunSummary) -> RenderableType:
    """What to print of a run's figures at its end."""
    return Group(
        _stages(summary), _workers(summary), Text(f"{clock_text(summary.seconds)} in all")
    )


def _stages(summary: RunSummary) -> Table:
    table = Table("stage", box=None)
    for name in ("done", "set aside", "time", "s/evaluation"):
        table.add_column(name, justify="right")
    for stage in summary.stages:
        rate = "" if stage.rate is None else f"{stage.rate:.3g}"
        table.add_row(stage.stage, str(stage.done), str(stage.set_aside),
                      clock_text(stage.seconds), rate)
    return table


def _workers(summary: RunSummary) -> Table:
    table = Table("worker", box=None)
    for name in ("jobs", "time", "busy"):
        table.add_column(name, justify="right")
    for worker in summary.workers:
        # As Text, because Rich would take brackets in a name for markup.
        table.add_row(Text(worker.worker), str(worker.jobs), clock_text(worker.seconds),
                      f"{worker.share:.0%}")
    return table
