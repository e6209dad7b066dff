"""Values of options that are swept: read as the command line reads them."""

import itertools
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, TypeVar

import typer

from jstyleid_core.errors import InputError
from jstyleid_runner.options.config_file import command_named, did_you_mean, keys_of
from jstyleid_runner.options.sources import parse_words

_FIXED = ("split", "data", "out", "force", "styles", "prompts", "device", "gpus", "workers",
          "engine", "address", "model", "vae", "tokenizer", "prediction", "dtype", "backend",
          "save_style", "load_style", "together", "sweep", "preset", "open")
"""Options that decide what is made and where; they are the same in all runs."""


_MOST = 1000
"""Combinations; more are a mistake rather than a wish."""

Options = TypeVar("Options")


def parse_grid(
    context: typer.Context, command: str, texts: Sequence[str]
) -> dict[str, list[str]]:
    """The values of each option that is swept, in the order that they were given.

    Args:
        context: context of the command.
        command: name of the command whose options they are.
        texts: `gamma=0.3,0.5`, `layers=["7-11","7,9"]`, ….

    Raises:
        InputError: a text is of another form, or names no option that can be swept, or one twice.
    """
    keys = keys_of(command_named(context, command))
    grid: dict[str, list[str]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        name = keys.get(key.strip().lstrip("-").replace("-", "_"))
        if not equals or name is None or name in _FIXED:
            known = sorted(name for name in keys if name not in _FIXED)
            meant = did_you_mean(key.strip().lstrip("-"), known) if name is None else ""
            raise InputError(
                f"{text}: {'no option that can be swept' if equals else 'no values'}."
                f"{meant} Write it as gamma=0.3,0.5.", fields=["values"])
        if name in grid:
            raise InputError(f"{text}: {key.strip()} is there twice. Give all of its values "
                             "at once.", fields=["values"])
        grid[name] = _values(text, values)
    return grid


def _values(text: str, values: str) -> list[str]:
    found: Any = values.split(",")
    if values.strip().startswith("["):
        try:
            found = json.loads(values)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{text}: not a list in JSON ({error}). Write it as "
                             'layers=["7-11","7,9"].', fields=["values"]) from error
    texts = [str(value).strip() for value in found]
    if not all(texts) or len(set(texts)) < len(texts):
        raise InputError(f"{text}: a value is empty, or there twice.", fields=["values"])
    return texts


def with_values(
    context: typer.Context, command: str, options: Options, values: Mapping[str, str]
) -> Options:
    """The options, with some values as `--option value` would set them.

    Args:
        context: context of the command.
        command: name of the command whose options they are.
        options: options of the command.
        values: values by the options' names.

    Raises:
        InputError: a value is not allowed.
    """
    words: list[str] = []
    for parameter in command_named(context, command).params:
        if parameter.name in values:
            value = values[str(parameter.name)]
            flags = {"true": parameter.opts, "false": parameter.secondary_opts}
            if getattr(parameter, "is_flag", False):
                if not flags.get(value.lower()):
                    raise InputError(f"{parameter.name}={value}: write true or false.",
                                     fields=["values"])
                words.append(flags[value.lower()][0])
            else:
                words += [max(parameter.opts, key=len), value]
    parsed = parse_words(context, command, words)
    return replace(options, **{  # type: ignore[type-var]
        name: parsed[name] for name in values})


def combine(
    grid: Mapping[str, Sequence[str]], most: int | None = None, seed: int = 0
) -> list[dict[str, str]]:
    """The combinations of values: all of them, or some at random.

    Args:
        grid: values by option.
        most: number of combinations drawn at random without repetition; None for all.
        seed: seed of the choice.

    Raises:
        InputError: there are too many.
    """
    count = 1
    for values in grid.values():
        count *= len(values)
    if (most or count) > _MOST:
        raise InputError(f"{count} combinations; at most {_MOST} are made. Give fewer "
                         "values, or --random N.", fields=["values"])
    if most is None or most >= count:
        return [dict(zip(grid, values, strict=True))
                for values in itertools.product(*grid.values())]
    chosen = []
    for number in sorted(random.Random(seed).sample(range(count), most)):
        combination = {}
        for name, values in reversed(list(grid.items())):
            number, index = divmod(number, len(values))
            combination[name] = values[index]
        chosen.append({name: combination[name] for name in grid})
    return chosen


def folder_name(values: Mapping[str, str]) -> str:
    """The folder of a combination, in letters that every file system takes."""
    name = "_".join(f"{option.replace('_', '-')}-{value}" for option, value in values.items())
    plain = re.sub(r"[^A-Za-z0-9.+_-]+", "-", name).strip("-.")
    # What was replaced, or is too long for a name, is told apart by a digest.
    if plain == name and len(plain) <= 100:
        return plain
    return f"{plain[:100]}-{sha256(name.encode()).hexdigest()[:8]}"
