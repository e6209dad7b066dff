"""Estimates of how long tasks take: measured rates, and the real scheduler on simulated workers.

Simulated workers compute nothing and take their time on a clock of their own. The real state,
ledger, policy and loop run on them, thousands of times faster than on cards: for estimates of how
long a plan takes, and for tests of the scheduler at any size.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jstyleid_runner.scheduling.executor import Event, Finished, Ready
from jstyleid_runner.scheduling.ledger import Entry, Ledger, Output
from jstyleid_runner.scheduling.scheduler import Scheduler
from jstyleid_runner.scheduling.state import SchedulerState
from jstyleid_runner.scheduling.task import Stage, State, Task


@dataclass(frozen=True)
class CostModel:
    """Seconds from evaluations.

    Attributes:
        evaluation: seconds of one evaluation of the UNet, at each stage: they differ by what else
            a stage does (decoding, backward passes).
        start: seconds until a worker is ready.
        change: seconds to change to another style.
    """

    evaluation: dict[Stage, float]
    start: float = 0.0
    change: float = 0.0

    def seconds(self, task: Task) -> float:
        """The time of one task, on a worker that holds the style's LoRA and features."""
        return task.cost * self.evaluation[task.stage]


def measured(entries: Iterable[Entry]) -> CostModel | None:
    """The rates that a ledger's finished tasks show; None while there are none.

    A stage without finished tasks is taken to be as fast as the others.
    """
    cost, seconds = dict.fromkeys(Stage, 0), dict.fromkeys(Stage, 0.0)
    for entry in entries:
        if entry.state is State.DONE and entry.seconds is not None:
            cost[Stage(entry.stage)] += entry.cost
            seconds[Stage(entry.stage)] += entry.seconds
    if not any(cost.values()):
        return None
    mean = sum(seconds.values()) / sum(cost.values())
    return CostModel({stage: seconds[stage] / cost[stage] if cost[stage] else mean
                      for stage in Stage})


class SimulatedExecutor:
    """An `Executor` on virtual time.

    Args:
        workers: their names.
        costs: durations of tasks.

    Attributes:
        now: virtual seconds since the start.
        busy: seconds each worker has spent on tasks, changes of style included.
    """

    def __init__(self, workers: Sequence[str], costs: CostModel) -> None:
        self._costs = costs
        self._home: dict[str, str | None] = dict.fromkeys(workers)
        self._coming: list[tuple[float, int, Event]] = []
        self._numbers = 0
        self.now = 0.0
        self.busy = dict.fromkeys(workers, 0.0)

    def start(self) -> None:
        """Let every worker be ready after the time that takes."""
        for worker in self._home:
            self.replace(worker)

    def assign(self, worker: str, tasks: Sequence[Task]) -> None:
        """Let the tasks be finished when they would be."""
        at = self.now
        if self._home[worker] != tasks[0].style:
            self._home[worker] = tasks[0].style
            at += self._costs.change
        for task in tasks:
            seconds = self._costs.seconds(task)
            at += seconds
            self._push(at, Finished(worker, task.id, None, seconds))
        self.busy[worker] += at - self.now

    def wait(self, seconds: float) -> list[Event]:
        """Move the clock to what happens next, and return all that happens then."""
        self.now, _, first = heapq.heappop(self._coming)
        events = [first]
        while self._coming and self._coming[0][0] <= self.now:
            events.append(heapq.heappop(self._coming)[2])
        return events

    def replace(self, worker: str) -> None:
        """Let a worker be ready after the time that takes."""
        self._home[worker] = None
        self._push(self.now + self._costs.start, Ready(worker))

    def stop(self) -> None:
        """Nothing to end."""

    def _push(self, at: float, event: Event) -> None:
        self._numbers += 1  # keeps the order of what happens at one time
        heapq.heappush(self._coming, (at, self._numbers, event))


def mark_satisfied(tasks: Sequence[Task], states: Mapping[str, State]) -> dict[str, State]:
    """The states, with a task done too if all that was to be made of it is done.

    A picture may be there while its content or LoRA is not: removed, or never in this ledger.

    Args:
        tasks: all tasks of a run, none before those it needs.
        states: states of the tasks that are not waiting.
    """
    dependents: dict[str, list[str]] = {task.id: [] for task in tasks}
    for task in tasks:
        for need in task.needs:
            dependents[need].append(task.id)
    found = dict(states)
    for task in reversed(tasks):
        after = dependents[task.id]
        if after and all(found.get(id) is State.DONE for id in after):
            found[task.id] = State.DONE
    return found


def forecast(
    tasks: Sequence[Task], states: Mapping[str, State], costs: CostModel, workers: int,
    batch: int = 1,
) -> float:
    """Seconds until everything is done that can be.

    Args:
        tasks: all tasks of a run, none before those it needs.
        states: states of the tasks that are not waiting.
        costs: durations of tasks.
        workers: number of workers.
        batch: number of tasks of one kind that a worker computes together.
    """
    names = [f"worker{number}" for number in range(workers)]
    executor = SimulatedExecutor(names, costs)
    with Ledger(Path(":memory:")) as ledger:
        ledger.plan(tasks)
        state = SchedulerState(tasks, states)
        Scheduler(state, ledger, executor, _NoStore(), _NoMonitor(), names, batch).run()
    return executor.now


class _NoStore:
    """Simulated workers have no products."""

    def keep(self, task: Task, product: bytes) -> Output:
        """Never called."""
        raise NotImplementedError


class _NoMonitor:
    """A forecast is not shown."""

    def began(self, worker: str, tasks: Sequence[Task]) -> None:
        """Nothing to show."""

    def doing(self, worker: str, detail: str, share: float) -> None:
        """Nothing to show."""

    def finished(self, worker: str, task: Task, output: Output | None) -> None:
        """Nothing to show."""

    def trouble(self, text: str) -> None:
        """Nothing to show."""
