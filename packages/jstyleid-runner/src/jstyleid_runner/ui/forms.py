"""Forms of a command's options: labels, help, choices and defaults are the command line's.

A form gives back words of the command line, which are read as those are.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

import gradio as gr
from pydantic import BaseModel
from typer.core import TyperCommand
from typer.models import OptionInfo

from jstyleid_core.styleid.strengths import STRENGTHS
from jstyleid_runner.options.presets import PRESETS, RunPreset
from jstyleid_runner.options.sources import parameters_of


class Form:
    """The components for some options of a command, in the order they were added.

    Args:
        command: command whose options they are.
        settings: model whose fields of the same names have the ranges of values.
    """

    def __init__(self, command: TyperCommand, settings: type[BaseModel]) -> None:
        self._parameters: dict[str, Any] = {
            str(parameter.name): parameter for parameter in command.params}
        self._declarations = parameters_of(command.callback)  # type: ignore[arg-type]
        self._command, self._settings = command.name, settings
        self._names: list[str] = []
        self._defaults: list[Any] = []
        self.components: list[Any] = []

    def add(self, *names: str) -> None:
        """Make the components of these options here in the page."""
        for name in names:
            self._keep(name, self._slider(name) if name in STRENGTHS else self._component(name))

    def add_parts(self, *names: str) -> None:
        """Make texts for the values that strengths have in some layers and steps."""
        for name in names:
            _, info, _ = self._declared(name)
            self._keep(name, gr.Textbox(
                "", label=f"{_label(self._parameters[name])}, in parts", placeholder="10-11:0.5",
                info=f"A line each, {info.metavar}", lines=1, max_lines=4,
                elem_id=f"{self._command}-{name}-parts"))

    def words(self, values: Sequence[Any]) -> list[str]:
        """The words of a command line that gives what differs from the defaults.

        Args:
            values: values of the components.
        """
        words: list[str] = []
        for name, default, value in zip(self._names, self._defaults, values, strict=True):
            parameter = self._parameters[name]
            option = max(parameter.opts, key=len)
            # As texts: a browser's slider gives 1.2000000000000002 for 1.2.
            if value is None or _text(value) == _text(default):
                continue
            if isinstance(value, bool):
                words.append(option if value else max(parameter.secondary_opts, key=len))
            elif getattr(parameter, "multiple", False):
                words += [f"{option}={line.strip()}" for line in _text(value).splitlines()
                          if line.strip()]
            else:
                words.append(f"{option}={_text(value).strip()}")
        return words

    def preset(self, preset: RunPreset) -> list[Any]:
        """The values of all components for a preset: its own, and the defaults."""
        values = PRESETS[preset]
        found: list[Any] = []
        for name, component, default in zip(
                self._names, self.components, self._defaults, strict=True):
            value = values.get(name, default)
            if isinstance(component, gr.Slider) and isinstance(value, list):
                value = float(value[0])
            elif name in STRENGTHS and not isinstance(component, gr.Slider):
                value = default
            found.append(value)
        return found

    def _keep(self, name: str, component: Any) -> None:
        self._names.append(name)
        self._defaults.append(component.value)
        self.components.append(component)

    def _component(self, name: str) -> Any:
        kind, info, default = self._declared(name)
        label = _label(self._parameters[name])
        common: dict[str, Any] = {"label": label, "info": _info(info.help, self._range(name)),
                                  "elem_id": f"{self._command}-{name}"}
        if kind is bool:
            return gr.Checkbox(default, **common)
        if get_origin(kind) is Literal:
            return gr.Dropdown(list(get_args(kind)), value=default, **common)
        if kind in (int, float):
            return gr.Number(default, precision=0 if kind is int else None, **common)
        return gr.Textbox(default or "", placeholder=info.metavar, **common)

    def _slider(self, name: str) -> Any:
        """The component of a strength's value in all layers and steps."""
        _, info, _ = self._declared(name)
        low, high = self._range(name)
        default: float = self._settings.model_fields[name].default
        # What is beyond is given as a part of the layers.
        return gr.Slider(low, high if high is not None and high <= 1 else 4 * default, default,
                         step=0.01, label=_label(self._parameters[name]), info=info.help,
                         elem_id=f"{self._command}-{name}")

    def _declared(self, name: str) -> tuple[Any, OptionInfo, Any]:
        """The type of an option, without None; its declaration; its default."""
        declared = self._declarations[name]
        kind, info = get_args(declared.annotation)
        plain = [each for each in get_args(kind) if each is not type(None)]
        optional = type(None) in get_args(kind)
        return plain[0] if optional else kind, info, declared.default

    def _range(self, name: str) -> tuple[float | None, float | None]:
        """The least and the largest value of an option."""
        _, info, _ = self._declared(name)
        low, high = info.min, info.max
        field = self._settings.model_fields.get(name)
        for limit in field.metadata if field else ():
            low = getattr(limit, "ge", getattr(limit, "gt", low))
            high = getattr(limit, "le", high)
        return low, high


def _label(parameter: Any) -> str:
    option: str = max(parameter.opts, key=len)
    return option.lstrip("-").replace("-", " ")


def _info(help_text: str | None, limits: tuple[float | None, float | None]) -> str:
    low, high = limits
    if low is None:
        return help_text or ""
    return f"{help_text} {low:g} to {high:g}." if high is not None else f"{help_text} From {low:g}."


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
