"""The file for `--config` to start from: every option of a run, commented out, at its default.

It is made of the options' definitions. A line of help begins with `# `, and the line of an option
with `#` alone, so that it counts without that sign.
"""

import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from typer.core import TyperCommand

from jstyleid_core import StyleIDSettings
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.options.config_file import keys_of

_WIDTH = 92
_TRAINING_NAMES = {"lr": "learning_rate", "train_steps": "steps", "train_batch": "batch"}
"""Settings of a training by the options of a run, where the names differ. An option of a run with
such a setting's name is another one."""


def starter_file(command: TyperCommand, table: str, given: Mapping[str, Any]) -> str:
    """The text of the file.

    Args:
        command: the command that has the options.
        table: name of the file's table.
        given: values that are not commented out, by key.
    """
    keys = _first_keys(command)
    panels: dict[str, list[Any]] = {}
    for parameter in command.params:
        if parameter.name in keys:
            panel = getattr(parameter, "rich_help_panel", None) or "Pictures"
            panels.setdefault(panel, []).append(parameter)
    assert command.callback is not None
    kinds = inspect.signature(command.callback, eval_str=True).parameters
    lines = [
        f"# Options of `jstyleid {table} --config FILE`.",
        "# A line that begins with # and no space is an option at its default: take the # away and",
        "# change the value. Where it says \"Not set\", the value only shows the form. Paths are",
        "# relative to the folder that the command is called in.",
        "", f"[{table}]",
    ]
    for panel, parameters in panels.items():
        lines += ["", f"# ---- {panel}"]
        for parameter in parameters:
            kind = get_args(kinds[parameter.name].annotation)[0]
            lines += ["", *_entry(keys[parameter.name], parameter, kind, given)]
    return "\n".join(lines) + "\n"


def _first_keys(command: TyperCommand) -> dict[str, str]:
    """The first key of each option, by the parameter's name."""
    found: dict[str, str] = {}
    for key, parameter in keys_of(command).items():
        found.setdefault(parameter, key)
    return found


def _entry(key: str, parameter: Any, kind: Any, given: Mapping[str, Any]) -> Iterator[str]:
    default = _default(parameter)
    text = " ".join((parameter.help or "").split())
    if key not in given and default is None:
        text += " Not set."
    if choices := _choices(kind):
        text += f" One of: {', '.join(choices)}."
    yield from textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ",
                             break_long_words=False, break_on_hyphens=False)
    if key in given:
        yield f"{key} = {_toml(given[key])}"
    else:
        yield f"#{key} = {_toml(_example(parameter, kind) if default is None else default)}"


def _default(parameter: Any) -> Any:
    """The value that counts where an option is left out; None where nothing does."""
    if parameter.default is not None:
        return parameter.default
    if parameter.name in _TRAINING_NAMES.values():
        return None
    setting = _TRAINING_NAMES.get(parameter.name, parameter.name)
    for settings in (TrainingSettings, StyleIDSettings):
        if setting in settings.model_fields:
            return settings.model_fields[setting].default
    return None


def _choices(kind: Any) -> list[str]:
    literals = [part for part in (kind, *get_args(kind)) if get_origin(part) is Literal]
    return [choice for literal in literals for choice in get_args(literal)]


def _example(parameter: Any, kind: Any) -> Any:
    """A value of the right form, for an option that has none of its own."""
    if choices := _choices(kind):
        return choices[0]
    first = next(part for part in (*get_args(kind), kind) if part is not type(None))
    if first in (int, float):
        return parameter.min or first(1)
    return ["..."] if parameter.multiple else "..."


def _toml(value: Any) -> str:
    """A value as TOML writes it, which for these is as JSON does."""
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
