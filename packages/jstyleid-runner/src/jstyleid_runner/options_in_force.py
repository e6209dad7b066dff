"""The values that the options of a command line have, without doing what it says."""

from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from jstyleid_core.errors import InputError
from jstyleid_runner.config_table import command_named, keys_of
from jstyleid_runner.option_origin import Source, origins

_UsageError: Any = typer.BadParameter.__mro__[1]
"""Typer does not export it, and its place differs between versions."""


@dataclass(frozen=True)
class InForce:
    """An option's value.

    Attributes:
        value: as JSON has it.
        source: the kind of place it comes from.
        place: the option, the variable or the file's key.
    """

    value: Any
    source: Source
    place: str

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def options_in_force(context: typer.Context, name: str, words: Sequence[str]) -> dict[str, InForce]:
    """The options of a command by their keys in a file.

    Args:
        context: of the program.
        name: of the command.
        words: its command line.

    Raises:
        InputError: the words are no such command line.
    """
    command = copy(command_named(context, name))
    # What is missing is shown, not refused.
    command.params = [_optional(parameter) for parameter in command.params]
    keys = {parameter: key for key, parameter in keys_of(command).items()}
    try:
        with command.make_context(name, list(words), parent=context.find_root()) as told:
            found = origins(told)  # type: ignore[arg-type]
            return {key: InForce(_plain(told.params[parameter]), found[parameter].source,
                                 found[parameter].place)
                    for parameter, key in keys.items()}
    except _UsageError as error:
        raise InputError(f"jstyleid {name}: {error.format_message()}") from error


def _optional(parameter: Any) -> Any:
    changed = copy(parameter)
    changed.required = False
    return changed


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
