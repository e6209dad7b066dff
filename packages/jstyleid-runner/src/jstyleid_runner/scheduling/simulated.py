"""Workers that compute nothing and take their time on a clock of their own.

The real board, ledger, policy and loop run on them, thousands of times faster than on cards: for
estimates of how long a plan takes, and for tests of the scheduler at any size.
"""

import heapq
from collections.abc import Sequence

from jstyleid_runner.scheduling.cost_model import CostModel
from jstyleid_runner.scheduling.crew import Event, Finished, Ready
from jstyleid_runner.scheduling.task import Task


class SimulatedCrew:
    """A `Crew` on virtual time.

    Args:
        workers: their names.
        costs: how long what takes.

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
