"""A worker's process, seen from outside: started, given orders, listened to, ended."""

import multiprocessing
import os
import signal
import time
from multiprocessing.context import SpawnProcess

from jstyleid_runner.scheduling.devices import Place
from jstyleid_runner.scheduling.executor import Message, OpenBench
from jstyleid_runner.scheduling.worker import Orders, serve


class WorkerProcess:
    """A process that `serve`s.

    It is spawned, since neither CUDA nor Jittor survives a fork.

    Args:
        place: its device.
        open_bench: makes what it does its work on; picklable.

    Attributes:
        process: the process itself.
        pipe: our end of its pipe, to wait for.
        ready: whether it has said that it can be given work.
        heard: when it was last heard of, by a clock that never jumps.
    """

    def __init__(self, place: Place, open_bench: OpenBench) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        self.process: SpawnProcess = multiprocessing.get_context("spawn").Process(
            target=serve, args=(theirs, place, open_bench), name=place.name, daemon=True)
        self.process.start()
        # Only the worker holds its end now, so that its death closes the pipe.
        theirs.close()
        self.ready = False
        self.heard = time.monotonic()

    def send(self, orders: Orders) -> None:
        """Give it work; raises OSError when it is gone."""
        self.pipe.send(orders)

    def received(self) -> list[Message]:
        """All it has sent since the last time, without waiting.

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
