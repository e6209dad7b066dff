"""The scheduler: the loop between ledger, policy and workers, the same for every executor."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from jstyleid_core.errors import JStyleIDError, OutputError
from jstyleid_runner.scheduling.executor import (
    Doing,
    ErrorKind,
    Event,
    Executor,
    Failed,
    Finished,
    Lost,
    Ready,
)
from jstyleid_runner.scheduling.ledger import Ledger, Output
from jstyleid_runner.scheduling.policy import choose
from jstyleid_runner.scheduling.state import SchedulerState
from jstyleid_runner.scheduling.task import State, Task

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""Number of failures after which a task is set aside."""
_LOSSES_IN_A_ROW = 3
"""A place whose workers are lost so often before one was ready is given up."""
_TICK = 1.0


class NoWorkersError(JStyleIDError):
    """Every worker is lost and none can be started."""


class Store(Protocol):
    """The place for the outputs of tasks."""

    def keep(self, task: Task, product: bytes) -> Output:
        """Write a product, whole and flushed to the disk; raises OutputError."""
        ...


class Monitor(Protocol):
    """An observer of all events, which shows them."""

    def began(self, worker: str, tasks: Sequence[Task]) -> None:
        """A worker has been given work."""
        ...

    def doing(self, worker: str, detail: str, share: float) -> None:
        """A worker says what it is at, and how much of it is done."""
        ...

    def finished(self, worker: str, task: Task, output: Output | None) -> None:
        """A task is done."""
        ...

    def trouble(self, text: str) -> None:
        """Something went wrong and was dealt with."""
        ...


@dataclass
class _WorkerState:
    """The scheduler's view of a worker."""

    name: str
    batch: int
    home: str | None = None
    ready: bool = False
    tasks: dict[str, Task] = field(default_factory=dict)
    losses: int = 0

    @property
    def idle(self) -> bool:
        return self.ready and not self.tasks


class Scheduler:
    """Runs all tasks of a run.

    Args:
        state: tasks and what has become of them.
        ledger: records every change before it has consequences.
        executor: runs the tasks on its workers.
        store: writes the outputs.
        monitor: shows what happens.
        workers: their names.
        batch: number of tasks of one group that a worker computes together.
    """

    def __init__(
        self, state: SchedulerState, ledger: Ledger, executor: Executor, store: Store,
        monitor: Monitor, workers: Sequence[str], batch: int = 1,
    ) -> None:
        self._state, self._ledger, self._executor = state, ledger, executor
        self._store, self._monitor = store, monitor
        self._workers = {name: _WorkerState(name, batch) for name in workers}
        self._backlog = 2 * batch * len(self._workers)

    def run(self) -> None:
        """Work until nothing can be done any more; tasks that failed too often are left.

        Raises:
            NoWorkersError: no worker is left.
            OutputError: a product, the ledger or a worker's file cannot be written. Whatever the
                reason is that this ends, the workers are stopped.
        """
        if self._state.finished:
            return
        try:
            self._executor.start()
            while not self._state.finished:
                self._assign()
                for event in self._executor.wait(_TICK):
                    self._handle(event)
        except BaseException as error:
            # A stop by the user counts too: the log says what was going on.
            for worker in self._workers.values():
                for id in worker.tasks:
                    log.error("%s: not done: %s", id, str(error) or type(error).__name__)
            raise
        finally:
            self._executor.stop()

    def _assign(self) -> None:
        for worker in self._workers.values():
            if not worker.idle:
                continue
            choice = choose(self._state, worker.home, self._backlog)
            if choice is None:
                return
            tasks = self._state.begin(choice.style, choice.stage, worker.batch)
            worker.home, worker.tasks = choice.style, {task.id: task for task in tasks}
            for task in tasks:
                self._ledger.began(task.id, worker.name)
            self._executor.assign(worker.name, tasks)
            self._monitor.began(worker.name, tasks)

    def _handle(self, event: Event) -> None:
        worker = self._workers[event.worker]
        match event:
            case Ready():
                worker.ready, worker.losses = True, 0
            case Doing():
                self._monitor.doing(worker.name, event.detail, event.share)
            case Finished():
                self._finished(worker, event)
            case Failed():
                self._failed(worker, event)
            case Lost():
                self._lost(worker, event)

    def _finished(self, worker: _WorkerState, event: Finished) -> None:
        task = worker.tasks.pop(event.task)
        output = None if event.product is None else self._store.keep(task, event.product)
        self._ledger.finished(task.id, output, event.seconds)
        self._state.done(task.id)
        self._monitor.finished(worker.name, task, output)
        log.info("%s: done in %.2f s by %s", task.id, event.seconds, worker.name)

    def _failed(self, worker: _WorkerState, event: Failed) -> None:
        tasks = [worker.tasks.pop(id) for id in event.tasks]
        if event.kind is ErrorKind.MEMORY and worker.batch > 1:
            worker.batch //= 2
            self._trouble(f"{worker.name}: out of memory, now {worker.batch} at a time")
            for task in reversed(tasks):
                self._ledger.unattempted(task.id, event.error)
                self._state.returned(task.id)
            return
        if event.kind is ErrorKind.OUTPUT:
            # The others would fail alike. Nothing is set aside, so that the same command goes on.
            for task in tasks:
                self._ledger.unattempted(task.id, event.error)
            raise OutputError(event.error)
        for task in reversed(tasks):
            self._give_back(task, event.error, event.seconds, event.kind is ErrorKind.INPUT)

    def _lost(self, worker: _WorkerState, event: Lost) -> None:
        # A worker that never got to its task says nothing about the task.
        never_ready = not worker.ready
        self._trouble(f"{worker.name}: lost, {event.reason}")
        for task in reversed(worker.tasks.values()):
            self._give_back(task, f"worker lost: {event.reason}", None, hopeless=False)
        worker.tasks, worker.home, worker.ready = {}, None, False
        worker.losses = worker.losses + 1 if never_ready else 0
        if worker.losses < _LOSSES_IN_A_ROW:
            self._executor.replace(worker.name)
            return
        del self._workers[worker.name]
        if not self._workers:
            raise NoWorkersError(
                f"no worker could be started; the last one: {event.reason}. See the log."
            )

    def _give_back(self, task: Task, error: str, seconds: float | None, hopeless: bool) -> None:
        attempts = self._ledger.attempts(task.id)
        last = hopeless or attempts >= ATTEMPTS
        state = State.QUARANTINED if last else State.WAITING
        self._ledger.failed(task.id, error, state, seconds)
        if last:
            self._state.quarantined(task.id)
            self._trouble(f"{task.id}: set aside, attempt {attempts}: {error}")
        else:
            self._state.returned(task.id)
            self._trouble(f"{task.id}: to be tried again: {error}")

    def _trouble(self, text: str) -> None:
        log.warning("%s", text)
        self._monitor.trouble(text)
