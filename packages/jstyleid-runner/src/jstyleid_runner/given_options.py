"""Options that make no difference where they were given: refused, not ignored."""

from collections.abc import Collection

import typer

from jstyleid_core.errors import InputError
from jstyleid_runner.option_origin import origins


def refuse_given(context: typer.Context, names: Collection[str], why: str) -> None:
    """Raise an InputError if one of a command's options was given, wherever that was.

    Args:
        context: of the command.
        names: of its parameters.
        why: they are not used, and what to do about it.
    """
    given = [origin.place for name, origin in origins(context).items()
             if name in names and origin.source != "default"]
    if given:
        raise InputError(f"{', '.join(given)}: {why}")
