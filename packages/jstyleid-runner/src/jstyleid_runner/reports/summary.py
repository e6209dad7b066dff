"""The summary of a run at its end: figures, and tables of them for the terminal."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jstyleid_runner.reports.figures import (
    StageFigures,
    WorkerFigures,
    stage_figures,
    worker_figures,
)
from jstyleid_runner.reports.narrow import NarrowTable
from jstyleid_runner.reports.progress import clock_text
from jstyleid_runner.scheduling.ledger import Entry


@dataclass(frozen=True)
class RunSummary:
    """The figures of a run.

    Attributes:
        stages: stages that the run had jobs of.
        workers: workers that had work.
        seconds: time from start to end, by a clock that never jumps.
    """

    stages: tuple[StageFigures, ...]
    workers: tuple[WorkerFigures, ...]
    seconds: float

    def share(self, worker: WorkerFigures) -> float:
        """The share of the run's time in which a worker was busy, from 0 to 1."""
        return worker.seconds / self.seconds if self.seconds else 0.0


def run_summary(entries: Sequence[Entry], begun: Collection[str], seconds: float) -> RunSummary:
    """Sum up a run.

    Args:
        entries: entries of its ledger, which may be of earlier runs too.
        begun: ids of the jobs that were begun in this run.
        seconds: time that the run took.
    """
    own = [entry for entry in entries if entry.id in begun]
    return RunSummary(stage_figures(own), worker_figures(own), seconds)


def summary_table(summary: RunSummary) -> RenderableType:
    """The summary as Rich prints it."""
    return Group(
        _stages(summary), _workers(summary), Text(f"{clock_text(summary.seconds)} in all")
    )


def _stages(summary: RunSummary) -> NarrowTable:
    table = Table("stage", box=None)
    for name in ("done", "set aside", "time", "s/evaluation"):
        table.add_column(name, justify="right")
    for stage in summary.stages:
        rate = "" if stage.rate is None else f"{stage.rate:.3g}"
        table.add_row(stage.stage, str(stage.done), str(stage.set_aside),
                      clock_text(stage.seconds), rate)
    return NarrowTable(table)


def _workers(summary: RunSummary) -> NarrowTable:
    table = Table("worker", box=None)
    for name in ("jobs", "time", "busy"):
        table.add_column(name, justify="right")
    for worker in summary.workers:
        # As Text, because Rich would take brackets in a name for markup.
        table.add_row(Text(worker.worker), str(len(worker.jobs)), clock_text(worker.seconds),
                      f"{summary.share(worker):.0%}")
    return NarrowTable(table)
