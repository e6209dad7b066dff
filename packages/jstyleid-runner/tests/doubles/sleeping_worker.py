"""A simulated device: a worker that sleeps as long as the work would take.

With it the real engines run, processes and all, on a machine without a card.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jstyleid_runner.scheduling.executor import TaskProgress


@dataclass(frozen=True)
class Sleep:
    """A payload: a task's name, how long it takes, and the error it ends with, if it does."""

    id: str
    seconds: float
    error: str = ""


class SleepingWorker:
    """Gives each payload's digest as its product, after its time.

    Args:
        start: seconds until it is ready.
        room: for how many orders at a time its memory is enough; None for any number.
        breaking: a file; the worker that removes it has from then on a broken device.
    """

    def __init__(
        self, start: float = 0.0, room: int | None = None, breaking: Path | None = None
    ) -> None:
        self._start, self._room, self._breaking = start, room, breaking
        self._broken = False

    def compile(self, progress: TaskProgress) -> None:
        """Nothing to compile."""

    def prepare(self, progress: TaskProgress) -> None:
        """Take as long as loading a model would."""
        time.sleep(self._start)

    def perform(self, payloads: Sequence[Sleep], progress: TaskProgress) -> Iterator[bytes]:
        """Sleep for each payload in turn.

        Raises:
            MemoryError: these are too many.
            RuntimeError: a payload says so.
        """
        if self._room is not None and len(payloads) > self._room:
            raise MemoryError
        for payload in payloads:
            progress.note(payload.id)
            time.sleep(payload.seconds)
            if self._breaking is not None and self._breaking.exists():
                self._breaking.unlink()
                self._broken = True
            if self._broken:
                raise RuntimeError("CUDA error 719")
            if payload.error:
                raise RuntimeError(payload.error)
            yield hashlib.sha256(payload.id.encode()).digest()

    def usable(self) -> bool:
        """Whether the device is whole."""
        return not self._broken
