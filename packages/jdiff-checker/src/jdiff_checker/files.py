"""Output files that appear whole or not at all, and the cache folder of the user."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jdiff_checker.errors import OutputError


def user_cache() -> Path:
    """The folder of this program inside the user's cache folder.

    Raises:
        RuntimeError: the user has no home folder.
    """
    # The XDG specification wants relative paths ignored.
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not caches.is_absolute():
        caches = Path.home() / ".cache"
    return caches / "jdiff-checker"


def read_regular(path: Path) -> bytes:
    """The content of an ordinary file. A pipe or a device might never end.

    Raises:
        OSError: the file cannot be read, or is something else.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # opening a pipe would wait for its writer
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
        return file.read()


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path, renamed to `path` when the block ends without an error.

    Missing parent folders are made. Written here because the package for this purpose,
    atomicwrites, is no longer maintained.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}.", suffix=".part",
                                        dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        # mkstemp makes the file private; a result should have the permissions of any new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}. Free some space or choose another "
            "place that you may write to."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
