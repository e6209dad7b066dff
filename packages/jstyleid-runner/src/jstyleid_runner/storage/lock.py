"""The lock of a folder: one run at a time, for a second would remove what the first is writing."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jstyleid_core.errors import InputError, OutputError
from jstyleid_runner.errors import OptionError


@contextmanager
def folder_lock(path: Path) -> Iterator[None]:
    """Hold the lock file at `path` while the block runs. It ends with the process, however that is.

    Raises:
        InputError: another process holds it.
    """
    with _errors_named(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 32).decode(errors="replace").strip()
            raise OptionError(
                f"--out {path.parent.parent}: another run, process {holder}, is at work there. "
                "Wait for it, or choose another --out.",
                fields=["out"],
            ) from error
        with _errors_named(path):
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        # A process that Jittor forked has the file open, too: closing would leave it the lock.
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror}. Free some space or choose another --out that "
            "you may write to."
        ) from error


def lock_holder(path: Path) -> str | None:
    """The process that holds the lock file at `path`; None if none does.

    A process that ended, however that was, holds nothing.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}. Check the file's permissions."
        ) from error
    try:
        # Shared, and given back at once: nobody is to be kept out by being asked about.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(handle, 32).decode(errors="replace").strip()
    finally:
        os.close(handle)
    return None
