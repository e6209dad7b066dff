"""`jstyleid config show`: the values of the options and the source of each."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from jstyleid_runner.options import common as options


def show(
    context: typer.Context,
    command: Annotated[
        Literal["run", "train", "generate"] | None,
        typer.Argument(metavar="COMMAND", help="Only this one; its options may follow."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="TOML file with a table a command."),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show the values that a command's options would have, and where each comes from.

    That is the command line, an environment variable such as JSTYLEID_RUN_GAMMA, the file, or the
    default, the first of them that says something.
    """
    from jstyleid_core.errors import InputError
    from jstyleid_runner.options.sources import TABLES, effective_options

    if command is None and context.args:
        raise InputError(
            f"{' '.join(context.args)}: options of which command? Name it: {', '.join(TABLES)}."
        )
    words = ["--config", str(config)] if config else []
    found = {
        name: effective_options(context, name, [*words, *context.args])
        for name in ([command] if command else TABLES)
    }
    if as_json:
        facts = {name: {key: value.facts() for key, value in values.items()}
                 for name, values in found.items()}
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for name, values in found.items():
        print(f"[{name}]")
        for key, value in values.items():
            print(f"{key} = {_text(value.value)}  # {value.place or value.source}")
        print()


def _text(value: Any) -> str:
    return "(none)" if value is None else json.dumps(value, ensure_ascii=False)
