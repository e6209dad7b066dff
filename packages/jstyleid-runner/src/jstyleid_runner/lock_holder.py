"""Whether a command is at work in a folder."""

import fcntl
import os
from pathlib import Path

from jstyleid_core.errors import InputError


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
