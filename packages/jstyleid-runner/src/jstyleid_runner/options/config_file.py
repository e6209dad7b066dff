"""The TOML file of `--config`: a table a command, checked against the command's options."""

import inspect
import json
import sys
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import OptionInfo

from jstyleid_core.errors import InputError
from jstyleid_core.files import read_regular

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def did_you_mean(name: str, names: Collection[str]) -> str:
    """A sentence with a space before it, or nothing where no name is near."""
    found = get_close_matches(name, names, n=1)
    return f" Did you mean {found[0]}?" if found else ""


_EXAMPLE = "[run]\ngamma = 0.5"


def read_tables(path: Path, commands: Collection[str]) -> dict[str, dict[str, Any]]:
    """The tables of the file at `path`, by command.

    Args:
        path: path of the file.
        commands: commands that may have a table.

    Raises:
        InputError: the file cannot be read or holds something else.
    """
    try:
        # Editors on Windows put a byte order mark first, which TOML does not allow.
        tables = tomllib.loads(read_regular(path).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"--config {path}: not UTF-8 text (byte {error.start}). Save the file as UTF-8."
        ) from error
    # Thousands of brackets or digits, too.
    except (ValueError, RecursionError) as error:
        raise InputError(f"--config {path}: broken TOML: {error}. Correct the file.") from error
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


_NOT_IN_A_FILE = ("config", "help")
_WANTED = {
    "string_type": 'a text in quotes, as "512"',
    "path_type": "a path in quotes",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "list_type": 'a list, as ["a", "b"]',
}
"""Expected values by pydantic's kinds of errors, in the words of TOML."""


def command_named(context: typer.Context, name: str) -> TyperCommand:
    """A command of the program that `context` belongs to."""
    group = context.find_root().command
    command = group.commands[name] if isinstance(group, TyperGroup) else None
    if not isinstance(command, TyperCommand):
        raise LookupError(name)
    return command


def keys_of(command: TyperCommand) -> dict[str, str]:
    """The parameter's name for each key; a key is a long option's name, with _ for -."""
    keys = {}
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name not in _NOT_IN_A_FILE:
            for option in parameter.opts:
                if option.startswith("--"):
                    keys[option[2:].replace("-", "_")] = str(parameter.name)
    return keys


def check_table(
    place: str, values: Mapping[str, Any], name: str, command: TyperCommand
) -> dict[str, Any]:
    """The values of a table by the command's parameters.

    Args:
        place: the file and the table, for messages.
        values: the table.
        name: name of the command.
        command: command that has the options.

    Raises:
        InputError: a key is unknown or there twice, or a value is not allowed; all are listed.
    """
    keys = keys_of(command)
    problems: list[str] = []
    written: dict[str, str] = {}
    for key in values:
        parameter = keys.get(key.replace("-", "_"))
        if parameter is None:
            meant = did_you_mean(key.replace("-", "_"), keys)
            problems.append(
                f"{place} {key}: no option of jstyleid {name}.{meant} There are "
                f"{', '.join(sorted(keys))}."
            )
        elif parameter in written:
            problems.append(
                f"{place} {key}: the same option as {written[parameter]}. Leave one of them out."
            )
        else:
            written[parameter] = key
    repeatable = {str(parameter.name) for parameter in command.params if parameter.multiple}
    found = {parameter: _as_texts(values[key]) if parameter in repeatable else values[key]
             for parameter, key in written.items()}
    problems += [f"{place} {written[parameter]}: {problem}"
                 for parameter, problem in _wrong_values(found, command)]
    if problems:
        raise InputError("\n".join(problems))
    return found


def _as_texts(value: Any) -> Any:
    """The values of a repeatable option as on a command line; one alone, and numbers, are taken."""
    values = value if isinstance(value, list) else [value]
    if all(isinstance(each, str | int | float) and not isinstance(each, bool) for each in values):
        return [each if isinstance(each, str) else repr(each) for each in values]
    return value


def _wrong_values(values: Mapping[str, Any], command: TyperCommand) -> list[tuple[str, str]]:
    # Not for `--help`, which is to be quick.
    from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, create_model

    assert command.callback is not None
    fields: dict[str, Any] = {}
    lax: dict[str, Any]
    for parameter in inspect.signature(command.callback, eval_str=True).parameters.values():
        if parameter.name in values:
            kind, info = get_args(parameter.annotation)[:2]
            assert isinstance(info, OptionInfo)
            # TOML has no paths: there they are strings.
            if is_path := Path in (kind, *get_args(kind)):
                kind = Annotated[kind, BeforeValidator(_not_empty)]
            lax = {"strict": False} if is_path else {}
            fields[parameter.name] = (kind, Field(ge=info.min, le=info.max, **lax))
    model = create_model("Table", __config__=ConfigDict(strict=True, extra="forbid"), **fields)
    try:
        model(**values)
    except ValidationError as error:
        return [(str(problem["loc"][0]), _explain(problem)) for problem in error.errors()]
    return []


def _not_empty(path: object) -> object:
    if path == "":
        raise ValueError("it is empty. Give a path; . is the working directory")
    return path


def _explain(problem: Any) -> str:
    value = json.dumps(problem["input"], default=str, ensure_ascii=False)
    if problem["type"] in _WANTED:
        return f"{value} is of the wrong type. Write {_WANTED[problem['type']]}."
    return f"{value}: {problem['msg']}."
