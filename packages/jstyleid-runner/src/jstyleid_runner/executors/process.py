"""A worker's process, both ends of its pipe, and the device that it computes on.

Messages to the process are lists of (task's id, payload). Messages from it are tuples with the kind
of message in front; see `_Link`.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from jstyleid_core.errors import JStyleIDError
from jstyleid_core.notes import leave_notes_to_parent
from jstyleid_core.runtime import GPU
from jstyleid_core.runtime.lifetime import end_with
from jstyleid_core.runtime.processors import processors
from jstyleid_runner.scheduling.executor import (
    ErrorKind,
    Message,
    TaskProgress,
    Worker,
    WorkerFactory,
    classify_error,
)


@dataclass(frozen=True)
class Slot:
    """A worker's name and device.

    Attributes:
        name: name in logs and displays.
        gpu: name of the GPU for `CUDA_VISIBLE_DEVICES`; None for the CPU.
        threads: CPU threads of the worker; None leaves the number to the libraries.
    """

    name: str
    gpu: str | None
    threads: int | None

    def use_device(self) -> None:
        """Let this process see only this device."""
        os.environ["CUDA_VISIBLE_DEVICES"] = self.gpu or ""
        if self.threads is not None:
            os.environ["OMP_NUM_THREADS"] = str(self.threads)


def gpu_slots(gpus: Sequence[GPU]) -> list[Slot]:
    """One place a GPU or MIG instance, by UUID: it holds in whatever order CUDA counts."""
    return [Slot(f"gpu{number}", gpu.uuid, None) for number, gpu in enumerate(gpus)]


def cpu_slots(count: int) -> list[Slot]:
    """Places that share the processors that this process may use."""
    threads = max(1, processors() // count)
    return [Slot(f"cpu{number}", None, threads if count > 1 else None)
            for number in range(count)]


class CompileGate:
    """Lets one worker of a machine compile kernels before the others start.

    Started together on a fresh machine, each would compile the same.
    """

    def __init__(self) -> None:
        self._compiled = False
        self._alone: str | None = None
        self._waiting: list[str] = []

    def may_start(self, worker: str) -> bool:
        """Whether a worker may start now; otherwise `compiled` or `lost` will name it."""
        if self._compiled:
            return True
        if self._alone is None:
            self._alone = worker
            return True
        self._waiting.append(worker)
        return False

    def compiled(self) -> list[str]:
        """Everything is compiled: returns the workers that may start now."""
        self._compiled = True
        waiting, self._waiting = self._waiting, []
        return waiting

    def lost(self, worker: str) -> list[str]:
        """A worker is lost: returns the worker that compiles in its place, if one has to."""
        if worker in self._waiting:
            self._waiting.remove(worker)
        if worker != self._alone or self._compiled:
            return []
        self._alone = self._waiting.pop(0) if self._waiting else None
        return [self._alone] if self._alone else []


Assignment = Sequence[tuple[str, Any]]
_BEAT = 1.0


class _Link:
    """The pipe to the scheduler, for two threads."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lock = threading.Lock()
        self._said = ("", 0.0)

    def send(self, *message: Any) -> None:
        with self._lock:
            try:
                self.connection.send(message)
            except OSError:
                # The scheduler is gone, and with it whatever this was for.
                os._exit(1)

    def progress(self) -> TaskProgress:
        """The progress of a new assignment, which `beat_for_ever` sends."""
        return TaskProgress(self._note)

    def _note(self, detail: str, share: float) -> None:
        self._said = (detail, share)

    def beat_for_ever(self) -> None:
        """Tell that the process lives, and what it says it is at."""
        while True:
            self.send("doing", *self._said)
            time.sleep(_BEAT)


def serve(connection: Connection, slot: Slot, make_worker: WorkerFactory) -> None:
    """Work until told to stop: by the closed pipe, or by SIGINT, after which training is kept."""
    parent = multiprocessing.parent_process()
    end_with(parent.pid if parent and parent.pid else os.getppid())
    # Jittor forks helpers, which would otherwise outlive a worker that is killed.
    forking: list[int] = []
    os.register_at_fork(before=lambda: forking.append(os.getpid()),
                        after_in_child=lambda: end_with(forking[-1]))
    # The terminal's Ctrl-C is for the scheduler, which stops its workers in its own way.
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Under Ray it is blocked, which children inherit.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    slot.use_device()
    leave_notes_to_parent()
    link = _Link(connection)
    threading.Thread(target=link.beat_for_ever, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt, EOFError):
        try:
            worker = make_worker()
            worker.compile(link.progress())
            link.send("compiled")
            worker.prepare(link.progress())
        except Exception as error:
            link.send("unfit", _text(error), traceback.format_exc(), classify_error(error))
            return
        link.send("ready")
        while _perform(worker, connection.recv(), link):
            pass
    # Without Python's own farewell, which a second signal would interrupt with a traceback.
    os._exit(0)


def _perform(worker: Worker, payloads: Assignment, link: _Link) -> bool:
    """Do an assignment; whether the worker can be given another one."""
    start = time.perf_counter()
    left = [id for id, _ in payloads]
    try:
        for product in worker.perform([payload for _, payload in payloads], link.progress()):
            now = time.perf_counter()
            link.send("finished", left.pop(0), product, now - start)
            start = now
        return True
    except Exception as error:
        text, report, kind = _text(error), traceback.format_exc(), classify_error(error)
    # Out of the block: the error holds the arrays of the functions that it came through.
    if not worker.usable():
        # Each task to come would fail here. A new process may work, or the place is given up.
        link.send("unfit", f"its device computes no more: {text}", report, ErrorKind.OTHER)
        return False
    link.send("failed", tuple(left), text, report, kind, time.perf_counter() - start)
    return True


def _text(error: Exception) -> str:
    """An error for people; ours have a whole message of their own."""
    return str(error) if isinstance(error, JStyleIDError) else f"{type(error).__name__}: {error}"


class WorkerProcess:
    """A process that `serve`s.

    It is spawned, since neither CUDA nor Jittor survives a fork.

    Args:
        slot: name and device of the worker.
        make_worker: makes what it does its work on; picklable.

    Attributes:
        process: the process itself.
        pipe: our end of its pipe, to wait for.
        ready: whether it has said that it can be given work.
        heard: time of the last message, by a clock that never jumps.
    """

    def __init__(self, slot: Slot, make_worker: WorkerFactory) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        self.process: SpawnProcess = multiprocessing.get_context("spawn").Process(
            target=serve, args=(theirs, slot, make_worker), name=slot.name, daemon=True)
        self.process.start()
        # Only the worker holds its end now, so that its death closes the pipe.
        theirs.close()
        self.ready = False
        self.heard = time.monotonic()

    def send(self, payloads: Assignment) -> None:
        """Give it work; raises OSError when it is gone."""
        self.pipe.send(payloads)

    def received(self) -> list[Message]:
        """All messages since the last time, without waiting.

        Raises:
            EOFError: it is gone, and all it has sent is read.
        """
        messages: list[Message] = []
        try:
            while self.pipe.poll():
                messages.append(self.pipe.recv())
        except (EOFError, OSError) as error:
            if not messages:
                raise EOFError from error
        self.ready |= ("ready",) in [message[:1] for message in messages]
        self.heard = time.monotonic()
        return messages

    def end(self) -> None:
        """Tell it to end; a training first ends its step and saves it."""
        if not self.ready:
            self.process.kill()
        elif self.process.pid is not None and self.process.is_alive():
            # Its pipe stays open: without it a worker ends at once, and saves nothing.
            os.kill(self.process.pid, signal.SIGINT)

    def kill(self, patience: float = 0.0) -> str:
        """Wait at most so many seconds for its end, and then kill it; says how it ended."""
        self.process.join(patience)
        self.process.kill()
        self.process.join()
        self.pipe.close()
        code = self.process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
