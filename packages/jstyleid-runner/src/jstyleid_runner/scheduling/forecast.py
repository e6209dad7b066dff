"""How long tasks will take: the real loop, on workers that compute nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jstyleid_runner.scheduling.board import Board
from jstyleid_runner.scheduling.cost_model import CostModel
from jstyleid_runner.scheduling.ledger import Ledger, Output
from jstyleid_runner.scheduling.scheduler import Scheduler
from jstyleid_runner.scheduling.simulated import SimulatedCrew
from jstyleid_runner.scheduling.task import State, Task


def forecast(
    tasks: Sequence[Task], states: Mapping[str, State], costs: CostModel, workers: int,
    batch: int = 1,
) -> float:
    """Seconds until everything is done that can be.

    Args:
        tasks: all of a run, none before what it needs.
        states: of those that are not waiting.
        costs: how long what takes.
        workers: how many there are.
        batch: how many tasks alike a worker computes together.
    """
    names = [f"worker{number}" for number in range(workers)]
    crew = SimulatedCrew(names, costs)
    with Ledger(Path(":memory:")) as ledger:
        ledger.plan(tasks)
        board = Board(tasks, states)
        Scheduler(board, ledger, crew, _NoStore(), _NoMonitor(), names, batch).run()
    return crew.now


class _NoStore:
    """Simulated workers have no products."""

    def keep(self, task: Task, product: bytes) -> Output:
        """Never called."""
        raise NotImplementedError


class _NoMonitor:
    """Nobody watches a forecast."""

    def began(self, worker: str, tasks: Sequence[Task]) -> None:
        """Nothing to show."""

    def doing(self, worker: str, detail: str, share: float) -> None:
        """Nothing to show."""

    def finished(self, worker: str, task: Task, output: Output | None) -> None:
        """Nothing to show."""

    def trouble(self, text: str) -> None:
        """Nothing to show."""
