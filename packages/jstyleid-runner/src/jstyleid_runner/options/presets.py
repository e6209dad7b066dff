"""Presets of a run and of a transfer: a few options each, which stand where none were given.

`baseline` and `tuned` are those of trainings (`jstyleid_dreambooth.training.presets`). The others
set the way to a picture as well; docs/methods.md has what was measured for them.
"""

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import Any, Literal, TypeVar

import typer

from jstyleid_dreambooth.training.presets import Preset
from jstyleid_runner.options.sources import origins

RunPreset = Literal["baseline", "tuned", "paper", "reference", "strong", "fast", "score"]
TransferPreset = Literal["paper", "reference", "strong"]

PRESETS: Mapping[RunPreset, Mapping[str, Any]] = {
    "baseline": {},
    "tuned": {},
    # The numbers of the paper's own experiments, which are on SD 1.4.
    "paper": {"layers": "6-11", "steps": 50},
    # The defaults: those of the challenge's reference for SD 2.1.
    "reference": {},
    # Less of the content's query, more of the style.
    "strong": {"gamma": ["0.3"]},
    # One pass, the cost of drawing alone; what it has less of the style, colours make up for.
    "fast": {"method": "direct-dreambooth", "reference": "all", "colour_match": 0.5},
    # Better LoRAs (see `_TRAINING`) that start from the samples' mean; the look and the colours of
    # all samples, by an inversion that loses less.
    "score": {"start": "mean", "strength": 0.9, "reference": "all", "start_latents": "efdm",
              "inversion": "fixed-point:2", "colour_match": 0.5},
}

_TRAINING: Mapping[RunPreset, Preset] = {"tuned": "tuned", "score": "tuned"}

Options = TypeVar("Options")


def training_preset(preset: RunPreset) -> Preset:
    """The preset of the trainings of a run."""
    return _TRAINING.get(preset, "baseline")


def apply_preset(
    options: Options, preset: RunPreset, given: Collection[str] = ()
) -> Options:
    """The options with a preset's values, but for those that were given.

    Args:
        options: options of a command; a value for an option that the command lacks is left out.
        preset: name of the preset.
        given: names of the options that the user gave.
    """
    known = {field.name for field in fields(options)}  # type: ignore[arg-type]
    return replace(options, **{  # type: ignore[type-var]
        name: value for name, value in PRESETS[preset].items()
        if name in known and name not in given})


def with_preset(context: typer.Context, options: Options, preset: RunPreset) -> Options:
    """The options of a command with a preset's values where the user gave none."""
    given = [name for name, origin in origins(context).items() if origin.source != "default"]
    return apply_preset(options, preset, given)
