"""Tables of a command's arguments and options, from the Typer applications themselves.

The parameters are Typer's own classes, so the environment of the site pins Typer's version.
"""

from __future__ import annotations

import enum
import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import typer
from mkdocs.exceptions import PluginError

_CODE = re.compile(r"`[^`]*`|(?<!\w)--[a-z][a-z-]*")
"""Code in a help text: marked as code, or the name of an option."""


def option_tables(words: str) -> str:
    """Tables of the arguments and options of a command such as `jstyleid config show`.

    There is one table for each panel of `--help`.
    """
    program, *names = words.split()
    command = _application(program)
    for name in names:
        if name not in command.commands:
            raise PluginError(f"{program} has no command {name}")
        command = command.commands[name]
    panels: dict[str, list[Any]] = {}
    for parameter in command.params:
        if not getattr(parameter, "hidden", False):
            usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
            panel = getattr(parameter, "rich_help_panel", None) or usual
            panels.setdefault(panel, []).append(parameter)
    first = [panel for panel in ("Arguments", "Options") if panel in panels]
    order = [*first, *(panel for panel in panels if panel not in first)]
    if len(order) == 1:
        return _table(panels[order[0]])
    return "\n\n".join(f"**{panel}**{{ .panel }}\n\n{_table(panels[panel])}" for panel in order)


def _application(program: str) -> Any:
    if program == "jstyleid":
        from jstyleid_runner.cli import app
    else:
        from jdiff_checker.cli import app
    return typer.main.get_command(app)


def _table(parameters: Sequence[Any]) -> str:
    kinds = {parameter.param_type_name for parameter in parameters}
    rows = [f"| {'argument' if kinds == {'argument'} else 'option'} | value | default | meaning |",
            "|---|---|---|---|"]
    for parameter in parameters:
        cells = (_names(parameter), _values(parameter), _default(parameter), _meaning(parameter))
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    shown = ", ".join(f"`{name}`" for name in parameter.opts)
    off = ", ".join(f"`{name}`" for name in parameter.secondary_opts)
    return f"{shown} / {off}" if off else shown


def _values(parameter: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return ""
    if parameter.param_type_name == "option" and parameter.metavar:
        return f"`{parameter.metavar}`"
    kind = parameter.type_descriptor.annotation
    several = get_origin(kind) is list
    kind = get_args(kind)[0] if several else kind
    choices = get_args(kind) or (tuple(kind) if issubclass(kind, enum.Enum) else ())
    if choices:
        return ", ".join(f"`{_text(choice)}`" for choice in choices)
    name = {int: "integer", float: "number", Path: "path"}.get(kind, "text")
    limits = [f"{word} {limit}" for word, limit in
              (("at least", parameter.min), ("at most", parameter.max)) if limit is not None]
    return ", ".join([name + "s" * several, *limits])


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    if getattr(parameter, "is_flag", False):
        return "on" if default is True and parameter.secondary_opts else ""
    if default in (None, "", (), []) or callable(default):
        return ""
    return f"`{_text(default)}`"


def _text(value: Any) -> str:
    return str(value.value if isinstance(value, enum.Enum) else value)


def _meaning(parameter: Any) -> str:
    text = " ".join((getattr(parameter, "help", None) or "").split())
    text = html.escape(text, quote=False).replace("|", "&#124;")
    return _CODE.sub(lambda found: f"`{found[0].strip('`')}`", text)
