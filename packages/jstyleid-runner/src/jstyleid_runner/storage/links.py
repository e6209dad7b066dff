"""Links in an `--out` folder: a command would write, empty or remove what they lead to.

A folder that was unpacked from an archive, or that others can write to, may hold links to any file
of its user. Commands therefore work in a folder only where all that they write to lies in it.
"""

import os
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
    for entry, inside in _below(root, hidden):
        # By the kind that the folder's listing names, for there may be tens of thousands of files.
        if entry.is_symlink():
            if inside or os.path.isdir(entry.path):  # a link to itself is no folder
                raise InputError(
                    f"--out {root}: {entry.path} is a link to {os.readlink(entry.path)}, and what "
                    "it leads to would be overwritten or removed. Put the files themselves there, "
                    "or remove the link.",
                    fields=["out"])
        elif inside and not entry.is_dir(follow_symlinks=False):
            _check_file(root, entry)


def _check_file(root: Path, entry: os.DirEntry[str]) -> None:
    if not entry.is_file(follow_symlinks=False):
        raise InputError(
            f"--out {root}: {entry.path} is no ordinary file. Remove it, or choose another folder.",
            fields=["out"])
    if entry.name.endswith(_WRITTEN_IN_PLACE) and os.lstat(entry.path).st_nlink > 1:
        raise InputError(
            f"--out {root}: {entry.path} is a hard link: the same file has another name, and would "
            "be changed there, too. Put a copy in its place.",
            fields=["out"])


def _below(root: Path, hidden: Path) -> Iterator[tuple[os.DirEntry[str], bool]]:
    """All that is in a folder and in the folders in it, links not followed.

    Yields:
        An entry, and whether it is `hidden` or in it.
    """
    left: list[tuple[str, bool]] = [(os.fspath(root), root == hidden)]
    while left:
        folder, inside = left.pop()
        try:
            with os.scandir(folder) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be read: {error.strerror}. Check its permissions.",
                fields=["out"]) from error
        for entry in entries:
            here = inside or (entry.name == hidden.name and Path(entry.path) == hidden)
            yield entry, here
            if entry.is_dir(follow_symlinks=False):
                left.append((entry.path, here))
