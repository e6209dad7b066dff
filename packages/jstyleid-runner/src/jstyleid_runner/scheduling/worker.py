"""The process of a worker: it takes assignments from a pipe until the pipe is closed.

Messages to it: a list of (task's id, order). Messages from it: tuples whose first word says what
they are; see `_Link`.
"""

import contextlib
import ctypes
import os
import signal
import threading
import time
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from jstyleid_core.errors import JStyleIDError
from jstyleid_runner.scheduling.devices import Place
from jstyleid_runner.scheduling.executor import Bench, OpenBench, fault_of

Orders = Sequence[tuple[str, Any]]
_BEAT = 1.0
_PR_SET_PDEATHSIG = 1


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

    def say(self, detail: str, share: float) -> None:
        self._said = (detail, share)

    def beat_for_ever(self) -> None:
        """Tell that the process lives, and what it says it is at."""
        while True:
            self.send("doing", *self._said)
            time.sleep(_BEAT)


def serve(connection: Connection, place: Place, open_bench: OpenBench) -> None:
    """Work until told to stop: by the closed pipe, or by SIGINT, after which training is kept."""
    _end_with_parent()
    # Jittor forks helpers, which would otherwise outlive a worker that is killed.
    os.register_at_fork(after_in_child=_end_with_parent)
    # The terminal's Ctrl-C is for the scheduler, which stops its workers in its own way.
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Under Ray it is blocked, which children inherit.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    place.take()
    link = _Link(connection)
    threading.Thread(target=link.beat_for_ever, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt, EOFError):
        try:
            bench = open_bench()
            bench.compile(link.say)
            link.send("compiled")
            bench.prepare(link.say)
        except Exception as error:
            link.send("unfit", _text(error), traceback.format_exc(), fault_of(error))
            return
        link.send("ready")
        while True:
            _perform(bench, connection.recv(), link)
    # Without Python's own farewell, which a second signal would interrupt with a traceback.
    os._exit(0)


def _end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, in whatever way that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _perform(bench: Bench, orders: Orders, link: _Link) -> None:
    start = time.perf_counter()
    left = [id for id, _ in orders]
    try:
        for product in bench.perform([order for _, order in orders], link.say):
            now = time.perf_counter()
            link.send("finished", left.pop(0), product, now - start)
            start = now
    except Exception as error:
        link.send("failed", tuple(left), _text(error), traceback.format_exc(), fault_of(error),
                  time.perf_counter() - start)


def _text(error: Exception) -> str:
    """An error for people; ours have a whole message of their own."""
    return str(error) if isinstance(error, JStyleIDError) else f"{type(error).__name__}: {error}"
