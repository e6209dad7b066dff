"""The strengths of an injection, which may differ by layer and by step.

A value such as gamma is a number, and overrides of that number: `10-11:0.5` for two layers,
`steps 0-5:1` for the first six steps, `7-9 steps 0-5:1` for both. Of several overrides that apply
to one layer and step the last one counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from jstyleid_core.errors import InputError, setting
from jstyleid_core.styleid.layers import parse_layers

StrengthName = Literal["gamma", "temperature", "style_factor"]
STRENGTHS: tuple[StrengthName, ...] = get_args(StrengthName)


@dataclass(frozen=True)
class Strengths:
    """The numbers of the injection into one layer in one step; see `StyleIDSettings`."""

    gamma: float
    temperature: float
    style_factor: float


@dataclass(frozen=True)
class Override:
    """Another value of a strength for some layers and steps.

    Attributes:
        name: name of the strength.
        layers: decoder layers; empty for all.
        steps: first and last step of the reversal, 0 the noisiest; None for all.
        value: value there.
    """

    name: StrengthName
    layers: tuple[int, ...]
    steps: tuple[int, int] | None
    value: float

    def applies(self, layer: int, step: int) -> bool:
        """Whether the override holds for a layer in a step."""
        first, last = self.steps or (step, step)
        return (not self.layers or layer in self.layers) and first <= step <= last


_OVERRIDE = re.compile(
    r"(?P<layers>[0-9][0-9,\s-]*?)?\s*(?:steps\s*(?P<first>[0-9]{1,4})(?:-(?P<last>[0-9]{1,4}))?)?"
    r"\s*:\s*(?P<value>[^:]+)")
_FORMS = "Write 0.5, 10-11:0.5, steps 0-5:0.5 or 7-9 steps 0-5:0.5."


def parse_strength(name: StrengthName, texts: Sequence[str]) -> tuple[float | None, list[Override]]:
    """A strength as it is written: at most one number for all, and overrides.

    Args:
        name: name of the strength.
        texts: `0.75`, `10-11:0.5`, `steps 0-5:1`, `7-9 steps 0-5:1`, ….

    Returns:
        The number for all layers and steps, None where there is none, and the overrides.

    Raises:
        InputError: a text is of another form, or two give the number for all.
    """
    plain: list[float] = []
    overrides: list[Override] = []
    for text in texts:
        if ":" in text:
            overrides.append(_parse_override(name, text))
        else:
            plain.append(_number(name, text, text))
    if len(plain) > 1:
        raise InputError(
            f"{setting(name)} {' and '.join(texts)}: one number for all layers and steps, not "
            f"{len(plain)}. {_FORMS}", fields=[name])
    return (plain[0] if plain else None), overrides


def _parse_override(name: StrengthName, text: str) -> Override:
    match = _OVERRIDE.fullmatch(text.strip())
    if match is None or not (match["layers"] or match["first"]):
        raise InputError(f"{setting(name)} {text!r}: not of a known form. {_FORMS}", fields=[name])
    steps = None
    if match["first"]:
        steps = int(match["first"]), int(match["last"] or match["first"])
        if steps[0] > steps[1]:
            raise InputError(f"{setting(name)} {text!r}: the steps run backwards", fields=[name])
    try:
        layers = parse_layers(match["layers"]) if match["layers"] else ()
    except InputError as error:
        raise InputError(f"{setting(name)} {text!r}: {error}", fields=[name]) from error
    return Override(name, layers, steps, _number(name, match["value"], text))


def _number(name: StrengthName, number: str, text: str) -> float:
    try:
        return float(number)
    except ValueError as error:
        raise InputError(f"{setting(name)} {text!r}: {number.strip()!r} is not a number. {_FORMS}",
                         fields=[name]) from error
