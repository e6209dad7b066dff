"""A worker that reads and writes files, for workers on other machines; they import it by name."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jstyleid_runner.scheduling.executor import TaskFiles, TaskProgress


@dataclass(frozen=True)
class Reading:
    """Read two files, add a line to a diary, and make a file for others or use theirs."""

    id: str
    seconds: float
    shared: Path
    own: Path
    diary: Path
    held: Path


@dataclass(frozen=True)
class FileWorkerSpec:
    """Makes the worker, which reads a file at once."""

    greeting: Path
    log: Path

    def __call__(self) -> "FileWorker":
        self.log.write_text(self.greeting.read_text())
        return FileWorker()


class FileWorker:
    def compile(self, progress: TaskProgress) -> None:
        pass

    def prepare(self, progress: TaskProgress) -> None:
        pass

    def perform(self, payloads: Sequence[Reading], progress: TaskProgress) -> Iterator[bytes]:
        for payload in payloads:
            (payload.diary / "checkpoints").mkdir(parents=True, exist_ok=True)
            said = payload.diary / "checkpoints" / "lines"
            lines = said.read_text() if said.exists() else ""
            said.write_text(f"{lines}{payload.id}\n")
            (payload.diary / ".unfinished").write_text("not to be brought back")
            time.sleep(payload.seconds)
            if not payload.held.exists():
                payload.held.write_text(f"made for {payload.id}")
            paths = [payload.shared, payload.own, payload.diary, payload.held]
            yield json.dumps({
                "paths": [str(path) for path in paths],
                "read": [
                    payload.shared.read_text(), payload.own.read_text(), payload.held.read_text()],
                "pid": os.getpid(),
            }).encode()

    def usable(self) -> bool:
        return True


def files_of(thing: Reading | FileWorkerSpec) -> TaskFiles:
    if isinstance(thing, FileWorkerSpec):
        return TaskFiles(read=(thing.greeting,))
    return TaskFiles((thing.shared,), (thing.own,), (thing.diary,), (thing.held,))


def own_version() -> dict[str, str]:
    """Another one in each process."""
    return {"jstyleid-core": str(os.getpid())}
