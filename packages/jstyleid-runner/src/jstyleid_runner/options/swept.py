"""Values of options that are swept: read as the command line reads them."""

import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import typer

from jstyleid_core.errors import InputError
from jstyleid_runner.options.config_file import command_named, did_you_mean, keys_of
from jstyleid_runner.options.run import RunOptions
from jstyleid_runner.options.sources import parse_words

_FIXED = ("split", "data", "out", "force", "styles", "prompts", "device", "gpus", "workers",
          "engine", "address")
"""Options that decide what is made and where; they are the same in all runs."""


def parse_grid(context: typer.Context, texts: Sequence[str]) -> dict[str, list[str]]:
    """The values of each option that is swept, in the order that they were given.

    Args:
        context: context of the command.
        texts: `gamma=0.3,0.5`, `layers=["7-11","7,9"]`, ….

    Raises:
        InputError: a text is of another form, or names no option that can be swept, or one twice.
    """
    keys = keys_of(command_named(context, "run"))
    grid: dict[str, list[str]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        name = keys.get(key.strip().lstrip("-").replace("-", "_"))
        if not equals or name is None or name in _FIXED:
            known = sorted(name for name in keys if name not in _FIXED)
            meant = did_you_mean(key.strip().lstrip("-"), known) if name is None else ""
            raise InputError(
                f"--set {text}: {'no option that can be swept' if equals else 'no values'}."
                f"{meant} Write it as gamma=0.3,0.5.", fields=["values"])
        if name in grid:
            raise InputError(f"--set {text}: {key.strip()} is there twice. Give all of its values "
                             "at once.", fields=["values"])
        grid[name] = _values(text, values)
    return grid


def _values(text: str, values: str) -> list[str]:
    found: Any = values.split(",")
    if values.strip().startswith("["):
        try:
            found = json.loads(values)
        except (ValueError, RecursionError) as error:
            raise InputError(f"--set {text}: not a list in JSON ({error}). Write it as "
                             'layers=["7-11","7,9"].', fields=["values"]) from error
    texts = [str(value).strip() for value in found]
    if not all(texts) or len(set(texts)) < len(texts):
        raise InputError(f"--set {text}: a value is empty, or there twice.", fields=["values"])
    return texts


def with_values(
    context: typer.Context, options: RunOptions, values: Mapping[str, str]
) -> RunOptions:
    """The options, with some values as `--option value` would set them.

    Raises:
        InputError: a value is not allowed.
    """
    command = copy(command_named(context, "run"))
    words: list[str] = []
    for parameter in command.params:
        if parameter.name in values:
            value = values[str(parameter.name)]
            flags = {"true": parameter.opts, "false": parameter.secondary_opts}
            if getattr(parameter, "is_flag", False):
                if not flags.get(value.lower()):
                    raise InputError(f"--set {parameter.name}={value}: write true or false.",
                                     fields=["values"])
                words.append(flags[value.lower()][0])
            else:
                words += [max(parameter.opts, key=len), value]
    parsed = parse_words(context, "run", words)
    return replace(options, **{name: parsed[name] for name in values})
