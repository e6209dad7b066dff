"""What a run has done, for a terminal or a file, by Rich."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jstyleid_runner.progress import clock_text
from jstyleid_runner.run_summary import RunSummary


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
