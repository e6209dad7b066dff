"""Commands whose options may also stand in a file or in environment variables.

What the command line says comes first, then `JSTYLEID_RUN_GAMMA` and the like, then the file of
`--config`, then the defaults.
"""

import functools
import inspect
import os
import re
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from typer.models import OptionInfo

from jstyleid_core.errors import InputError
from jstyleid_runner.config_file import read_tables
from jstyleid_runner.config_table import check_table, command_named
from jstyleid_runner.did_you_mean import did_you_mean
from jstyleid_runner.failures import guarded
from jstyleid_runner.option_origin import FileValues, origins, variable
from jstyleid_runner.signatures import give_signature, option, parameters_of

TABLES = ("run", "train", "generate")
"""The commands that have a table of their own."""


def configured(command: Callable[..., None], table: str) -> Callable[..., None]:
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
            if places := _places_named(given["context"], str(error)):
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
    """Let the file's values be what the command falls back to."""
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


def _places_named(context: typer.Context, message: str) -> list[str]:
    """Where options that a message names were given, if not on the command line."""
    found = []
    for parameter in context.command.params:
        origin = origins(context)[str(parameter.name)]
        if origin.source in ("environment", "file") and origin.place not in message:
            name = re.escape(max(parameter.opts, key=len).lstrip("-"))
            # The method's own messages say "gamma = 2" and "layers 'x'", the others "--gamma 2".
            if re.search(rf"--{name}(?![\w-])|(?<![\w/.-]){name} (= |['\"])", message):
                found.append(origin.place)
    return found
