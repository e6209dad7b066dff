"""Reading a file of options in TOML: one table a command, and what is wrong with it."""

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from jstyleid_core.errors import InputError
from jstyleid_runner.did_you_mean import did_you_mean

_EXAMPLE = "[run]\ngamma = 0.5"


def read_tables(path: Path, commands: Collection[str]) -> dict[str, dict[str, Any]]:
    """The tables of the file at `path`, by command.

    Args:
        path: of the file.
        commands: those that may have a table.

    Raises:
        InputError: the file cannot be read or holds something else.
    """
    try:
        # Editors on Windows put a byte order mark first, which TOML does not allow.
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"--config {path}: broken TOML: {error}. Correct the file.") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"--config {path}: not UTF-8 text (byte {error.start}). Save the file as UTF-8."
        ) from error
    except OSError as error:
        raise InputError(
            f"--config {path}: cannot be read: {error.strerror}. Check the path and the file's "
            "permissions."
        ) from error
    problems = [problem for name, values in tables.items()
                if (problem := _problem(name, values, commands))]
    if problems:
        raise InputError("\n".join(f"{path}: {problem}" for problem in problems))
    return tables


def _problem(name: str, values: object, commands: Collection[str]) -> str | None:
    listed = ", ".join(f"[{command}]" for command in commands)
    if not isinstance(values, dict):
        return f"key {name} is in no table. Put it below one of {listed}, as\n{_EXAMPLE}"
    if name not in commands:
        meant = did_you_mean(name, commands)
        return f"[{name}] is no table that is read.{meant} There are {listed}."
    return None
