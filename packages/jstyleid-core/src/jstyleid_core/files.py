"""Files on disk: written whole or not at all, removed when left over, hashed."""

from __future__ import annotations

import codecs
import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jstyleid_core.errors import OutputError

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LEFTOVER = re.compile(r"\..*\.[a-z0-9_]{8}\.part(\.[^.]+)?")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path that replaces `path` when the block ends without an error.

    The data is flushed to the disk before the rename, so that even after a power loss `path` holds
    either its old content or all of the new one. Missing parent folders are made.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}.", suffix=f".part{path.suffix}",
                                        dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise _output_error(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        # mkstemp makes the file private; a result should have the permissions of any new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise _output_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends without an error.

    Missing parent folders are made.

    Raises:
        OutputError: `path` is there and not an empty folder, or it cannot be written.
    """
    path = Path(path)
    if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
        raise OutputError(f"{path}: there already, and not an empty folder. Name a new folder.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.new-", dir=path.parent))
    except OSError as error:
        raise _output_error(path, error) from error
    try:
        yield temporary
        for place, _, names in os.walk(temporary):
            for name in names:
                with open(Path(place, name), "rb") as written:
                    os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise _output_error(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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


def decode_text(data: bytes) -> str:
    """The text of a file written by hand: UTF-8, or UTF-16 with a byte order mark.

    Shells on Windows write UTF-16, and editors there a byte order mark, which is no part of it.

    Raises:
        UnicodeDecodeError: it is in another encoding.
    """
    return data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8-sig")


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file through `atomic_path`.

    Raises:
        OutputError: see `atomic_path`.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def is_leftover(path: Path) -> bool:
    """Whether a file is named like the temporary files of `atomic_path`."""
    return _LEFTOVER.fullmatch(path.name) is not None


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed processes left in `folder`.

    No other process may be writing to the folder.
    """
    for path in folder.glob(".*.part*"):
        if is_leftover(path):
            path.unlink(missing_ok=True)


def _output_error(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(
        f"cannot write {path}: {reason}. Free some space or choose another output folder "
        "that you may write to."
    )
