"""The lock of a folder: one run at a time, for a second would remove what the first is writing.

The lock file holds the id of the process that has the lock. It stays when the lock is released.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from jstyleid_core.errors import InputError, OutputError
from jstyleid_core.notes import note_once
from jstyleid_runner.storage.layout import WorkFolder
from jstyleid_runner.storage.links import refuse_links

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of file systems without locks: NFS without its daemon, some of Lustre, FUSE and 9p."""
_PATIENCE = 0.1
"""Seconds to wait for a process that only looks whether the lock is held."""


@contextmanager
def folder_lock(folder: WorkFolder) -> Iterator[None]:
    """Hold the lock of a folder while the block runs. The lock ends with the process, too.

    Raises:
        InputError: another process holds the lock, or something in the folder leads out of it.
    """
    refuse_links(folder.root, folder.hidden)
    path = folder.lock
    lock = _lock(path)
    try:
        with _errors_named(path):
            lock.acquire(_PATIENCE)
            path.write_text(str(os.getpid()))
    except Timeout as error:
        raise InputError(
            f"--out {folder.root}: another run, process {_holder(path)}, is at work there. "
            "Wait for it, or choose another --out.",
            fields=["out"],
        ) from error
    except OutputError:
        lock.release()
        raise
    try:
        yield
    finally:
        # Unlocked, not only closed: a process that Jittor forked has the file open, too.
        lock.release()


def lock_holder(path: Path) -> str | None:
    """The process that holds the lock file at `path`; None if none does.

    A process that ended, in whatever way, holds nothing. Nothing is written, not even where that
    would be possible: the folder may be another user's.

    Raises:
        InputError: the file cannot be read.
    """
    if not os.path.isfile(path):
        return None
    try:
        # By fcntl: filelock opens its file for writing only.
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(path)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            note_once(f"{path}: its file system has no locks ({error.strerror}), so that it is "
                      "not known whether a run is at work")
            return None
        raise InputError(
            f"{path}: cannot be read: {error.strerror}. Check the file's permissions."
        ) from error
    return None


def _lock(path: Path) -> FileLock:
    # Without locks of the system there would be files that a killed process leaves behind.
    return FileLock(path, mode=0o666, poll_interval=0.01, fallback_to_soft=False)


def _holder(path: Path) -> str:
    return path.read_text(errors="replace").strip()


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    try:
        yield
    except Timeout:
        raise
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise OutputError(
                f"cannot lock {path}: {error.strerror}. Its file system has no locks, and without "
                "one a second run would remove what the first is writing. Choose --out on a local "
                "disk; the results can be copied from there."
            ) from error
        raise OutputError(
            f"cannot write {path}: {error.strerror}. Free some space or choose another --out that "
            "you may write to."
        ) from error
