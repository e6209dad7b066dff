"""Links in an `--out` folder: a command would write, empty or remove what they lead to.

A folder that was unpacked from an archive, or that others can write to, may hold links to any file
of its user. Commands therefore work in a folder only where all that they write to lies in it.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from jstyleid_core.errors import InputError

_WRITTEN_IN_PLACE = (".lock", ".log", ".sqlite", ".sqlite-wal", ".sqlite-shm", ".sqlite-journal")
"""Suffixes of the files that are opened and changed; all others are replaced whole."""


def refuse_links(root: Path, hidden: Path) -> None:
    """Refuse a folder in which something leads out of it.

    Args:
        root: the folder; it may be a link itself, for the user has named it.
        hidden: the folder in it where commands keep their own files.

    Raises:
        InputError: a folder in it is a link, or a file of `hidden` is one, has a second name
            elsewhere or is no ordinary file.
    """
    for entry in _below(root):
        path = Path(entry.path)
        inside = path == hidden or hidden in path.parents
        if entry.is_symlink() and (inside or path.is_dir()):  # a link to itself is no folder
            raise InputError(
                f"--out {root}: {path} is a link to {os.readlink(path)}, and what it leads to "
                "would be overwritten or removed. Put the files themselves there, or remove the "
                "link.",
                fields=["out"])
        if not inside or entry.is_dir(follow_symlinks=False):
            continue
        status = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise InputError(
                f"--out {root}: {path} is no ordinary file. Remove it, or choose another folder.",
                fields=["out"])
        if status.st_nlink > 1 and entry.name.endswith(_WRITTEN_IN_PLACE):
            raise InputError(
                f"--out {root}: {path} is a hard link: the same file has another name, and would "
                "be changed there, too. Put a copy in its place.",
                fields=["out"])


def _below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All that is in a folder and in the folders in it, links not followed."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}. Check its permissions.",
                         fields=["out"]) from error
    for entry in entries:
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path))
