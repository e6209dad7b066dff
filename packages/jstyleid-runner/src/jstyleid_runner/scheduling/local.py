"""Workers as processes of this machine, one a device."""

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from jstyleid_core.errors import InputError
from jstyleid_runner.scheduling.bench import Fault, OpenBench
from jstyleid_runner.scheduling.crew import Doing, Event, Failed, Finished, Lost, Ready
from jstyleid_runner.scheduling.devices import Place
from jstyleid_runner.scheduling.task import Task
from jstyleid_runner.scheduling.worker import serve

log = logging.getLogger(__name__)

SILENCE = 900.0
"""Seconds without a sign of life after which a worker is taken for hung; compilers may run long."""
_GRACE = 120.0
"""Seconds a worker at work gets to end its training step and save it."""


@dataclass
class _Process:
    """A worker's process, what it has to do, and when it was last heard of.

    The last by a clock that never jumps.
    """

    process: SpawnProcess
    pipe: Connection
    heard: float
    ready: bool = False
    tasks: int = 0


class LocalCrew:
    """A `Crew` of processes.

    They are spawned, since neither CUDA nor Jittor survives a fork. The first one starts alone
    until it has compiled what is missing; the others then find it done.

    Args:
        places: a device for each worker.
        open_bench: makes what a worker does its work on; it must be picklable.
        order_of: what a worker has to know of a task; picklable.
        silence: seconds without a sign of life after which a worker is killed.
    """

    def __init__(
        self, places: Sequence[Place], open_bench: OpenBench, order_of: Callable[[Task], Any],
        silence: float = SILENCE,
    ) -> None:
        self._places = {place.name: place for place in places}
        self._open_bench, self._order_of, self._silence = open_bench, order_of, silence
        self._processes: dict[str, _Process] = {}
        self._later: list[str] = []

    def start(self) -> None:
        """Start the first worker, and the others when it has compiled."""
        first, *self._later = self._places
        self._spawn(first)

    def assign(self, worker: str, tasks: Sequence[Task]) -> None:
        """Send work to a worker; one that is gone is noticed by `wait`."""
        orders = [(task.id, self._order_of(task)) for task in tasks]
        self._processes[worker].tasks = len(tasks)
        try:
            self._processes[worker].pipe.send(orders)
        except OSError:
            log.warning("%s: gone before it was given %s", worker, tasks[0].id)

    def wait(self, seconds: float) -> list[Event]:
        """What the workers have sent, and which of them are gone."""
        by_pipe = {process.pipe: name for name, process in self._processes.items()}
        events: list[Event] = []
        for pipe in connection.wait(list(by_pipe), seconds):
            assert isinstance(pipe, Connection)
            events += self._received(by_pipe[pipe], pipe)
        for name, process in list(self._processes.items()):
            if time.monotonic() - process.heard > self._silence:
                events.append(self._gone(name, f"no sign of life for {self._silence:.0f} s"))
        return events

    def replace(self, worker: str) -> None:
        """Start a process in the place of one that is lost."""
        self._spawn(worker)

    def stop(self) -> None:
        """Let the workers end what must not be cut in two, and then end them."""
        for process in self._processes.values():
            if not process.ready:
                process.process.kill()
            elif not process.tasks:
                process.pipe.close()  # which it takes for its end
            elif process.process.pid is not None and process.process.is_alive():
                # Its pipe stays open: without it a worker ends at once, and saves nothing.
                os.kill(process.process.pid, signal.SIGINT)
        deadline = time.monotonic() + _GRACE
        for process in self._processes.values():
            process.process.join(max(0.0, deadline - time.monotonic()))
            process.process.kill()
            process.process.join()
        self._processes.clear()

    def _spawn(self, name: str) -> None:
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(theirs, self._places[name], self._open_bench), name=name,
            daemon=True)
        process.start()
        # Only the worker holds its end now, so that its death closes the pipe.
        theirs.close()
        self._processes[name] = _Process(process, ours, time.monotonic())

    def _received(self, name: str, pipe: Connection) -> list[Event]:
        self._processes[name].heard = time.monotonic()
        events: list[Event] = []
        try:
            # One that is unfit is gone after it has said so.
            while name in self._processes and pipe.poll():
                events += self._understood(name, pipe.recv())
        except (EOFError, OSError):
            events.append(self._gone(name, "its process ended"))
        return events

    def _understood(self, name: str, message: tuple[Any, ...]) -> list[Event]:
        match message:
            case ("doing", detail, share):
                return [Doing(name, detail, share)] if detail else []
            case ("compiled",):
                while self._later:
                    self._spawn(self._later.pop(0))
                return []
            case ("ready",):
                self._processes[name].ready = True
                return [Ready(name)]
            case ("finished", task, product, seconds):
                self._processes[name].tasks -= 1
                return [Finished(name, task, product, seconds)]
            case ("failed", tasks, error, report, kind, seconds):
                self._processes[name].tasks = 0
                log.error("%s: %s\n%s", name, ", ".join(tasks), report)
                return [Failed(name, tasks, error, kind, seconds)]
            case ("unfit", error, report, kind):
                log.error("%s\n%s", name, report)
                if kind is Fault.INPUT:
                    raise InputError(error)
                return [self._gone(name, error)]
        raise ValueError(f"{name} sent {message[0]!r}")

    def _gone(self, name: str, reason: str) -> Lost:
        process = self._processes.pop(name)
        process.pipe.close()
        process.process.kill()
        process.process.join()
        code = process.process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return Lost(name, f"{reason} ({how})")

