"""The local executor: one worker process for each device of this machine."""

import logging
import time
from collections.abc import Callable, Sequence
from multiprocessing import connection
from typing import Any

from jstyleid_runner.executors.process import CompileGate, Slot, WorkerProcess
from jstyleid_runner.scheduling.executor import (
    COMPILED,
    GRACE,
    SILENCE,
    Event,
    Lost,
    WorkerFactory,
    parse_event,
)
from jstyleid_runner.scheduling.task import Task

log = logging.getLogger(__name__)


class LocalExecutor:
    """An `Executor` of processes.

    The first one starts alone until it has compiled what is missing; the others then find it done.

    Args:
        slots: a device for each worker.
        make_worker: makes what a worker does its work on; it must be picklable.
        payload_of: gives the payload of a task; picklable.
        silence: seconds without a sign of life after which a worker is killed.
    """

    def __init__(
        self, slots: Sequence[Slot], make_worker: WorkerFactory,
        payload_of: Callable[[Task], Any], silence: float = SILENCE,
    ) -> None:
        self._slots = {slot.name: slot for slot in slots}
        self._make_worker, self._payload_of, self._silence = make_worker, payload_of, silence
        self._processes: dict[str, WorkerProcess] = {}
        self._gate = CompileGate()

    def start(self) -> None:
        """Start the first worker, and the others when it has compiled."""
        self._gate = CompileGate()
        for worker in self._slots:
            self.replace(worker)

    def assign(self, worker: str, tasks: Sequence[Task]) -> None:
        """Send work to a worker; one that is gone is noticed by `wait`."""
        try:
            self._processes[worker].send([(task.id, self._payload_of(task)) for task in tasks])
        except OSError:
            log.warning("%s: gone before it was given %s", worker, tasks[0].id)

    def wait(self, seconds: float) -> list[Event]:
        """The events of the workers, with those of workers that are lost."""
        by_pipe = {process.pipe: name for name, process in self._processes.items()}
        events: list[Event] = []
        for pipe in connection.wait(list(by_pipe), seconds):
            assert isinstance(pipe, connection.Connection)
            events += self._received(by_pipe[pipe])
        for name, process in list(self._processes.items()):
            if time.monotonic() - process.heard > self._silence:
                events.append(self._gone(name, f"no sign of life for {self._silence:.0f} s"))
        return events

    def replace(self, worker: str) -> None:
        """Start a process in the place of one that is lost."""
        if self._gate.may_start(worker):
            self._spawn(worker)

    def stop(self) -> None:
        """Stop all workers; a training first ends its step and saves its state."""
        for process in self._processes.values():
            process.end()
        deadline = time.monotonic() + GRACE
        for process in self._processes.values():
            process.kill(max(0.0, deadline - time.monotonic()))
        self._processes.clear()

    def _spawn(self, name: str) -> None:
        self._processes[name] = WorkerProcess(self._slots[name], self._make_worker)

    def _received(self, name: str) -> list[Event]:
        events: list[Event] = []
        try:
            messages = self._processes[name].received()
        except EOFError:
            return [self._gone(name, "its process ended")]
        for message in messages:
            if message == COMPILED:
                for worker in self._gate.compiled():
                    self._spawn(worker)
                continue
            event = parse_event(name, message)
            if isinstance(event, Lost):  # it has said so itself, and ends
                return [*events, self._gone(name, event.reason)]
            if event is not None:
                events.append(event)
        return events

    def _gone(self, name: str, reason: str) -> Lost:
        how = self._processes.pop(name).kill()
        for worker in self._gate.lost(name):
            self._spawn(worker)
        return Lost(name, f"{reason} ({how})")
