"""Where the value of an option comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import typer

Source = Literal["command line", "environment", "file", "default"]


class FileValues(dict[str, Any]):
    """What a file says of a command's parameters, for `Context.default_map`.

    Args:
        file: it.
        table: in the file.
        values: by the parameters' names.
    """

    def __init__(self, file: Path, table: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.file, self.table = file, table


@dataclass(frozen=True)
class Origin:
    """Where an option's value comes from.

    Attributes:
        source: what kind of place.
        place: it, as a user knows it: the option, the variable, or the file's key.
    """

    source: Source
    place: str


def origins(context: typer.Context) -> dict[str, Origin]:
    """The origin of every parameter of the command, by name."""
    found = {}
    for parameter in context.command.params:
        name = str(parameter.name)
        option = max(parameter.opts, key=len)
        source = context.get_parameter_source(name)
        values = context.default_map
        match source.name if source else "":
            case "COMMANDLINE":
                found[name] = Origin("command line", option)
            case "ENVIRONMENT":
                found[name] = Origin("environment", variable(context, name))
            case "DEFAULT_MAP" if isinstance(values, FileValues):
                key = option.lstrip("-")
                found[name] = Origin("file", f"{values.file} [{values.table}] {key}")
            case _:
                found[name] = Origin("default", "")
    return found


def variable(context: typer.Context, parameter: str) -> str:
    """The environment variable that a parameter of the command is read from."""
    return f"{context.auto_envvar_prefix}_{parameter.upper()}"
