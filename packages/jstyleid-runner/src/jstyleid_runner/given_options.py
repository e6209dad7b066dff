"""Options that make no difference where they were given: refused, not ignored."""

from collections.abc import Iterable

import typer

from jstyleid_core.errors import InputError


def refuse_given(context: typer.Context, names: Iterable[str], why: str) -> None:
    """Raise an InputError if one of a command's options was given on the command line.

    Args:
        context: of the command.
        names: of its parameters.
        why: they are not used, and what to do about it.
    """
    given = []
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source and source.name == "COMMANDLINE":
            given.append(max(parameter.opts, key=len))
    if given:
        raise InputError(f"{', '.join(given)}: {why}")
