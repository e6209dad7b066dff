"""Where a machine of a cluster keeps the files of a run, and lets nothing of them behind."""

import contextlib
import fcntl
import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TextIO

_PREFIX = "jstyleid-node-"


class Depot:
    """A folder that all workers of a run on one machine share.

    It is below the machine's folder for temporary files. The last worker to leave removes it; where
    the workers were killed, the next one of any run does.

    Args:
        run: tells runs apart.
        node: tells the machines apart, of which several may be one in truth.
        worker: has a folder of its own in it.
    """

    def __init__(self, run: str, node: str, worker: str) -> None:
        top = Path(tempfile.gettempdir())
        self.root = top / f"{_PREFIX}{run}-{node}"
        self._lock = _enter(self.root)
        for lock in top.glob(f"{_PREFIX}*.lock"):
            _remove_if_left(lock)
        self.own = self.root / "workers" / worker
        # Of one that was lost.
        shutil.rmtree(self.own, ignore_errors=True)
        self.own.mkdir(parents=True)

    def kept(self, digest: str, name: str) -> Path:
        """Where a file belongs that several orders read: by its content, and under its name."""
        return self.root / "files" / digest / name

    def held(self, path: Path) -> Path:
        """Where a file belongs that one worker makes for the others."""
        return self.root / "held" / _key(path) / path.name

    def made(self, part: str, path: Path) -> Path:
        """Where something belongs that this worker alone knows, in a part of its folder."""
        return self.own / part / _key(path) / path.name

    def leave(self) -> None:
        """Remove the folder, unless another worker is there still."""
        self._lock.close()
        _remove_if_left(_lock_of(self.root))


def _key(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:16]


def _lock_of(root: Path) -> Path:
    return root.with_name(f"{root.name}.lock")


def _enter(root: Path) -> TextIO:
    """A lock on the folder that others may have too, but not who wants to remove it."""
    while True:
        lock = _lock_of(root).open("w")
        fcntl.flock(lock, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            if _lock_of(root).stat().st_ino == Path(f"/proc/self/fd/{lock.fileno()}").stat().st_ino:
                root.mkdir(exist_ok=True)
                return lock
        lock.close()  # somebody removed it in between


def _remove_if_left(lock: Path) -> None:
    """Remove a folder that nobody works in any more."""
    with contextlib.suppress(FileNotFoundError, PermissionError), lock.open("r") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
        lock.unlink(missing_ok=True)
