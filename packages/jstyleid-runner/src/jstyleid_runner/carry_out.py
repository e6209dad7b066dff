"""What is left of a run, done by its workers, with the ledger told of everything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jstyleid_core.errors import JStyleIDError
from jstyleid_runner.listing import listed
from jstyleid_runner.picture_store import PictureStore, describe_output
from jstyleid_runner.planning.pending import Survey
from jstyleid_runner.planning.plan import Plan
from jstyleid_runner.planning.tasks import DrawOrder, Order, orders_of, product_path, tasks_of
from jstyleid_runner.reports.progress import Reporter
from jstyleid_runner.run_monitor import RunMonitor
from jstyleid_runner.scheduling.ledger import Entry, Ledger, Output
from jstyleid_runner.scheduling.scheduler import Scheduler
from jstyleid_runner.scheduling.state import Board
from jstyleid_runner.scheduling.task import State, Task
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.records import describe_reference
from jstyleid_runner.tally import Tally
from jstyleid_runner.workforce import Workforce

_SHOWN = 5
"""Failed jobs that a message lists."""


class IncompleteError(JStyleIDError):
    """Some jobs of a run were set aside; everything else is done."""


@dataclass(frozen=True)
class RunRequest:
    """What a run is to do, and where."""

    plan: Plan
    settings: RunSettings
    folder: OutFolder
    batch: int = 1
    force: bool = False


def carry_out(
    request: RunRequest, state: Survey, force: Workforce, reporter: Reporter, tally: Tally
) -> None:
    """Have the workers do what is left.

    Args:
        request: the run.
        state: what is left of it.
        force: the workers; started only if there is something for them.
        reporter: shows how far it is.
        tally: kept up to date.

    Raises:
        IncompleteError: jobs failed too often, and were set aside.
        InputError: something given turned out to be unusable.
        OutputError: a picture or the ledger cannot be written.
    """
    plan, folder = request.plan, request.folder
    orders = orders_of(
        state, folder, keep_styles=len(force.workers) > 1, batch=request.batch
    )
    tasks = tasks_of(plan, request.batch)
    paths = {job.id: path for job in plan.jobs
             if (path := product_path(job, folder, state.class_work))}
    pictures = {(stylise or draw).id for style in plan.styles for draw, stylise in style.pairs}
    results = {id: paths[id] for id in orders if id in pictures}
    loras = tuple(sorted({order.lora for order in orders.values()
                          if isinstance(order, DrawOrder) and order.lora and order.lora.exists()}))
    with Ledger(folder.ledger) as ledger:
        ledger.plan(tasks)
        _reconcile(ledger, tasks, orders, paths, folder)
        board = Board(tasks, ledger.states())
        crew = force.crew(request.settings, folder, loras, lambda task: orders[task.id])
        monitor = RunMonitor(plan, folder, results, reporter, tally)
        store = PictureStore(folder.root, paths)
        Scheduler(board, ledger, crew, store, monitor, force.workers, request.batch).run()
        failed = [entry for entry in ledger.entries()
                  if entry.id in orders and entry.state is State.QUARANTINED]
    if failed:
        raise IncompleteError(_failed_message(folder, failed, tally))


def _reconcile(
    ledger: Ledger,
    tasks: Sequence[Task],
    orders: Mapping[str, Order],
    paths: Mapping[str, Path],
    folder: OutFolder,
) -> None:
    """Let the ledger say what the files say: a picture counts by what is in it."""
    states = ledger.states()
    done = {task.id for task in tasks if states.get(task.id) is State.DONE}
    ledger.lost(id for id in done if id in orders)
    ledger.found({
        task.id: _output(paths.get(task.id), folder)
        for task in tasks if task.id not in orders and task.id not in done
    })


def _output(path: Path | None, folder: OutFolder) -> Output | None:
    if path is None or not path.exists():
        return None
    return describe_output(path, folder.root, describe_reference(path).sha256)


def _failed_message(folder: OutFolder, failed: Sequence[Entry], tally: Tally) -> str:
    return "\n".join([
        f"{tally.done} of {tally.total} pictures are there; {len(failed)} jobs were set aside:",
        listed([f"{entry.id}: {entry.error}" for entry in failed], _SHOWN),
        f"See {folder.log}. jstyleid retry {folder.root} lets them be tried again.",
    ])
