"""The folder that Jittor compiles into, and whether it can.

Jittor looks into the user's home folder wherever `JITTOR_HOME` leads: it makes `.cache/jittor`
there, and reads and writes a `config.json`, which holds the `JITTOR_HOME` of an earlier time.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from jstyleid_core.files import read_regular
from jstyleid_core.runtime.requirements import RuntimeSetupError

_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT)
"""Errors that commands name themselves."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def jittor_home() -> Path:
    """The folder whose `.cache/jittor` Jittor compiles into, found as Jittor itself finds it.

    Raises:
        RuntimeSetupError: the user has no home folder, or Jittor's settings in it are unusable.
    """
    if home := os.environ.get("JITTOR_HOME"):
        return Path(home).absolute()
    try:
        own = Path.home()
    except RuntimeError as error:
        raise RuntimeSetupError(
            "HOME is not set, and this user has no home folder. Set JITTOR_HOME to a folder that "
            "Jittor may compile into.") from error
    return Path(_remembered(own) or own).absolute()


def _remembered(home: Path) -> str | None:
    """The folder that Jittor's settings in a home folder name."""
    path = home / ".cache" / "jittor" / "config.json"
    try:
        settings = json.loads(read_regular(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if not os.path.exists(path):  # in a folder of another user, which is found out below
            return None
        reason = error.strerror or str(error)
    except (ValueError, RecursionError) as error:
        reason = f"it is no JSON ({error})"
    else:
        named = settings.get("JITTOR_HOME") if isinstance(settings, dict) else ()
        if named is None or (isinstance(named, str) and named):
            return named
        reason = 'Jittor writes {"JITTOR_HOME": "/a/folder"} there'
    raise RuntimeSetupError(
        f"{path}, which Jittor reads, is unusable: {reason}. Remove the file, or set JITTOR_HOME "
        "to another folder.")


def checked_home(programs: Iterable[str]) -> Path:
    """The folder of `jittor_home`, once nothing stands in the way of compiling into it.

    Args:
        programs: further paths that Jittor writes into command lines.

    Raises:
        RuntimeSetupError: it cannot be written to, or a path would be taken apart by the shell.
    """
    home = jittor_home()
    _remembered(home)  # Jittor reads the settings there, too
    folder = home / ".cache" / "jittor"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK | os.X_OK)
    except OSError as error:
        if error.errno in _OF_THE_DISK:
            raise
        usable = False
    if not usable:
        there = next(place for place in (folder, *folder.parents) if os.path.exists(place))
        raise RuntimeSetupError(
            f"Jittor compiles into {folder}, and {there} is no folder that you may write to. Set "
            "JITTOR_HOME to one that is.")
    jittor = importlib.util.find_spec("jittor")
    folders = jittor.submodule_search_locations if jittor else None
    paths = [sys.executable, *programs, *(folders or ())]
    for path in paths:
        if found := _special(path):
            raise RuntimeSetupError(
                f"Jittor cannot compile from {path}: the shell takes {found!r} in it for something "
                "else. Make the virtual environment in a folder without it.")
    # Jittor quotes this one, by double quotes: a space does no harm.
    if found := _special(str(folder).replace(" ", "")):
        raise RuntimeSetupError(
            f"Jittor cannot compile into {folder}: the shell takes {found!r} in it for something "
            "else. Set JITTOR_HOME to a folder without it.")
    return home


def _special(path: str) -> str | None:
    """The first letter of a path that a shell does not leave as it is."""
    return next((letter for letter in path
                 if letter.isascii() and letter != "~" and shlex.quote(letter) != letter), None)


@contextlib.contextmanager
def home_of_jittor(home: Path) -> Iterator[None]:
    """Let Jittor's start in this block look at no other home folder, and name what it cannot do.

    Raises:
        RuntimeSetupError: a file in it belongs to another user, or its file system has no locks.
    """
    before = {name: os.environ.get(name) for name in ("HOME", "JITTOR_HOME")}
    os.environ.update(dict.fromkeys(before, str(home)))
    try:
        yield
    except OSError as error:
        if error.errno is None or error.errno in _OF_THE_DISK:
            raise  # a library that does not load has no number
        where = f"{error.filename}: " if error.filename else ""
        locks = " (its file system has no locks)" if error.errno in _NO_LOCKS else ""
        raise RuntimeSetupError(
            f"Jittor cannot use its cache, {home / '.cache' / 'jittor'}: {where}{error.strerror}"
            f"{locks}. Set JITTOR_HOME to a folder of your own on a local disk.") from error
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
