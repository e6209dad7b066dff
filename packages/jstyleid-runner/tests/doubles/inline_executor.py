"""One worker in this very process, for tests and for looking inside with a debugger."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from jstyleid_runner.scheduling.executor import (
    Doing,
    Event,
    Failed,
    Finished,
    Ready,
    TaskProgress,
    Worker,
    WorkerFactory,
    classify_error,
)
from jstyleid_runner.scheduling.task import Task


class InlineExecutor:
    """An `Executor` of one that works while it is waited for.

    Args:
        worker: its name.
        make_worker: makes what it does its work on.
        payload_of: what it has to know of a task.
    """

    def __init__(
        self, worker: str, make_worker: WorkerFactory, payload_of: Callable[[Task], Any]
    ) -> None:
        self._worker, self._make_worker, self._payload_of = worker, make_worker, payload_of
        self._made: Worker | None = None
        self._tasks: deque[Task] = deque()
        self._events: list[Event] = []

    def start(self) -> None:
        """Make the worker; what cannot be made raises here."""
        self._made = self._make_worker()
        self._made.compile(TaskProgress(self._note))
        self._made.prepare(TaskProgress(self._note))
        self._events.append(Ready(self._worker))

    def assign(self, worker: str, tasks: Sequence[Task]) -> None:
        """Keep the tasks until it is waited for them."""
        self._tasks.extend(tasks)

    def wait(self, seconds: float) -> list[Event]:
        """Do what was assigned."""
        if self._tasks and self._made:
            self._perform(self._made, [self._payload_of(task) for task in self._tasks])
        events, self._events = self._events, []
        return events

    def replace(self, worker: str) -> None:
        """Never asked for: this worker is lost with the process only."""

    def stop(self) -> None:
        """Nothing to end."""

    def _perform(self, made: Worker, payloads: Sequence[Any]) -> None:
        start = time.perf_counter()
        try:
            for product in made.perform(payloads, TaskProgress(self._note)):
                now = time.perf_counter()
                task = self._tasks.popleft()
                self._events.append(Finished(self._worker, task.id, product, now - start))
                start = now
        except Exception as error:
            left = tuple(task.id for task in self._tasks)
            self._tasks.clear()
            self._events.append(Failed(self._worker, left, f"{type(error).__name__}: {error}",
                                       classify_error(error), time.perf_counter() - start))

    def _note(self, detail: str, share: float) -> None:
        self._events.append(Doing(self._worker, detail, share))
