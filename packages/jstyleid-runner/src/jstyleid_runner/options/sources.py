"""Sources of options: command line, environment, file, default, in this order.

The environment is `JSTYLEID_RUN_GAMMA` and the like; the file is that of `--config`.
"""

import functools
import inspect
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import typer
from typer.models import OptionInfo

from jstyleid_core.errors import InputError
from jstyleid_runner.errors import guarded
from jstyleid_runner.options.config_file import (
    check_table,
    command_named,
    did_you_mean,
    keys_of,
    read_tables,
)

Source = Literal["command line", "environment", "file", "default"]


class FileValues(dict[str, Any]):
    """The values of a file for a command's parameters, for `Context.default_map`.

    Args:
        file: path of the TOML file.
        table: name of the table.
        values: values by the parameters' names.
    """

    def __init__(self, file: Path, table: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.file, self.table = file, table


@dataclass(frozen=True)
class Origin:
    """The origin of an option's value.

    Attributes:
        source: kind of origin.
        place: name that the user knows: the option, the variable, or the key in the file.
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


def refuse_given(context: typer.Context, names: Collection[str], why: str) -> None:
    """Raise an InputError if one of a command's options was given, wherever that was.

    Args:
        context: context of the command.
        names: names of parameters.
        why: reason and remedy, for the message.
    """
    given = [origin.place for name, origin in origins(context).items()
             if name in names and origin.source != "default"]
    if given:
        raise InputError(f"{', '.join(given)}: {why}")


def values_of(context: typer.Context, name: str, values: Sequence[str]) -> Sequence[str]:
    """The values of a repeatable option: of a variable its lines, which Typer parts into words."""
    if origins(context)[name].source != "environment":
        return values
    lines = os.environ[variable(context, name)].splitlines()
    return [line.strip() for line in lines if line.strip()]


def parameters_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a function by name, as keyword parameters."""
    found = inspect.signature(function).parameters
    return {name: parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in found.items()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD}


def option(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """One more parameter."""
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def with_options(
    function: Callable[..., None], without: Collection[str] = ()
) -> Callable[..., None]:
    """A command that takes each field of its parameter `options`, a dataclass, as an option.

    Args:
        function: the command.
        without: fields that are no options of this command, and keep their defaults.
    """
    kind = get_type_hints(function)["options"]
    hints = get_type_hints(kind, include_extras=True)
    taken = [field for field in fields(kind) if field.name not in without]

    @functools.wraps(function)
    def run(**given: Any) -> None:
        options = kind(**{field.name: given.pop(field.name) for field in taken})
        function(**given, options=options)

    expanded = [
        option(field.name, hints[field.name],
               inspect.Parameter.empty if field.default is MISSING else field.default)
        for field in taken
    ]
    parameters: list[inspect.Parameter] = []
    for name, parameter in parameters_of(function).items():
        parameters += expanded if name == "options" else [parameter]
    give_signature(run, parameters)
    return run


def give_signature(
    function: Callable[..., Any], parameters: Iterable[inspect.Parameter]
) -> None:
    """Give a function that takes any keywords the signature that Typer reads."""
    listed = list(parameters)
    function.__signature__ = inspect.Signature(listed)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in listed}


_UsageError: Any = typer.BadParameter.__mro__[1]
"""Typer does not export it, and its place differs between versions."""


@dataclass(frozen=True)
class EffectiveOption:
    """An option's value.

    Attributes:
        value: value as in JSON.
        source: kind of origin.
        place: the option, the variable or the file's key.
    """

    value: Any
    source: Source
    place: str

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def effective_options(
    context: typer.Context, name: str, words: Sequence[str]) -> dict[str, EffectiveOption]:
    """The options of a command by their keys in a file.

    Args:
        context: context of the program.
        name: name of the command.
        words: command line without the command's name.

    Raises:
        InputError: the words are no such command line.
    """
    keys = {parameter: key for key, parameter in keys_of(command_named(context, name)).items()}
    with _told(context, name, words) as told:
        found = origins(told)
        return {key: EffectiveOption(_plain(told.params[parameter]), found[parameter].source,
                                     found[parameter].place)
                for parameter, key in keys.items()}


def parse_words(context: typer.Context, name: str, words: Sequence[str]) -> dict[str, Any]:
    """The values of a command's parameters by their names, for a part of a command line.

    Args:
        context: context of the program.
        name: name of the command.
        words: command line without the command's name; required options may be missing.

    Raises:
        InputError: the words are no such command line.
    """
    with _told(context, name, words) as told:
        return dict(told.params)


@contextmanager
def _told(context: typer.Context, name: str, words: Sequence[str]) -> Iterator[typer.Context]:
    """The context of a command with these words; what is missing is not refused."""
    command = copy(command_named(context, name))
    command.params = [_optional(parameter) for parameter in command.params]
    try:
        with command.make_context(name, list(words), parent=context.find_root()) as told:
            yield told  # type: ignore[misc]
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


TABLES = ("run", "train", "generate")
"""The commands that have a table of their own."""


def with_config(command: Callable[..., None], table: str) -> Callable[..., None]:
    """A command with `--config`; it takes its context as the parameter `context`.

    Args:
        command: the command.
        table: the command whose options it takes.
    """

    def take(context: typer.Context, file: Path | None) -> Path | None:
        # What is raised here would not come to the guard of the command.
        guarded(_take_values)(context, file, table)
        return file

    @functools.wraps(command)
    def run(**given: Any) -> None:
        del given["config"]  # `take` has done with it
        try:
            command(**given)
        except InputError as error:
            if places := _places_of(given["context"], error):
                error.args = (f"{error}\nGiven in {', '.join(places)}.",)
            raise

    config = Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            callback=take,
            is_eager=True,
            help=f"TOML file with a table [{table}] of options; what is given here comes first.",
        ),
    ]
    parameters = [*parameters_of(command).values(), option("config", config, None)]
    give_signature(run, [_without_variable(parameter) for parameter in parameters])
    return run


def _without_variable(parameter: inspect.Parameter) -> inspect.Parameter:
    """The parameter, with a help that leaves out what all have: a variable of its name."""
    kind, *infos = get_args(parameter.annotation) or (parameter.annotation,)
    if not infos or not isinstance(infos[0], OptionInfo):
        return parameter
    info = copy(infos[0])
    info.show_envvar = False
    return parameter.replace(annotation=Annotated[kind, info])


def _take_values(context: typer.Context, file: Path | None, table: str) -> None:
    """Take the file's values as defaults of the command."""
    _refuse_unknown_variables(context, table)
    if file is None:
        return
    tables = {
        name: check_table(f"{file} [{name}]", values, name, command_named(context, name))
        for name, values in read_tables(file, TABLES).items()
    }
    known = {parameter.name for parameter in context.command.params}
    # `jstyleid plan` has not all options of the command whose table it takes.
    values = {name: value for name, value in tables.get(table, {}).items() if name in known}
    context.default_map = FileValues(file, table, values)


def _refuse_unknown_variables(context: typer.Context, table: str) -> None:
    known = [variable(context, str(parameter.name))
             for parameter in command_named(context, table).params
             if parameter.param_type_name == "option"]
    prefix = variable(context, "")
    for name in sorted(os.environ):
        if name.startswith(prefix) and name not in known:
            raise InputError(
                f"environment variable {name}: no option of jstyleid {table}."
                f"{did_you_mean(name, known)} Unset it, or correct its name."
            )


def _places_of(context: typer.Context, error: InputError) -> list[str]:
    """The origins of the options that an error is about, if not the command line."""
    found = origins(context)
    places = [found[name].place for name in error.fields
              if name in found and found[name].source in ("environment", "file")]
    return [place for place in dict.fromkeys(places) if place not in str(error)]
