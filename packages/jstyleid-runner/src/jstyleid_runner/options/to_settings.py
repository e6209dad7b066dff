"""From the texts of options to settings: sizes, names, StyleID, trainings and a whole run."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack

import typer

from jstyleid_core import StyleIDSettings
from jstyleid_core.backends import Backend
from jstyleid_core.backends.jdiffusion import NO_CHECKPOINTING
from jstyleid_core.errors import InputError
from jstyleid_core.styleid.layers import parse_layers
from jstyleid_dreambooth.training.presets import PRESETS, Preset
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.options.sources import refuse_given
from jstyleid_runner.settings import Method, PictureChoices, Start

_SIZE = re.compile(r"([0-9]{1,5})(?:x([0-9]{1,5}))?", re.IGNORECASE)


def parse_size(text: str) -> tuple[int, int]:
    """Width and height. Whether a model can draw them is for the model to say."""
    match = _SIZE.fullmatch(text.strip())
    size = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if 0 in size:
        raise InputError(f"--size {text}: not a size. Give pixels, as 512 or 768x512.")
    return size


def layer_names(option: str, text: str | None) -> tuple[str, ...] | None:
    """The patterns an option names; None where it was left out.

    Raises:
        InputError: it names none.
    """
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise InputError(f"{option} {text}: names no layer. Give names, as to_q,to_k,to_v.")
    return names


def named_styles(option: str, text: str | None) -> list[str] | None:
    """The folders that an option names; None where it was left out.

    Raises:
        InputError: it names none.
    """
    if text is None:
        return None
    names = [style.strip() for style in text.split(",") if style.strip()]
    if not names:
        raise InputError(f"{option} {text}: names no style. Give folder names, as 00,04.")
    return names


_TRAINING = ("preset", "train_steps", "rank", "lr", "gradient_checkpointing")
_STYLEID = ("reference", "steps", "gamma", "temperature", "layers", "adain", "injection")


def refuse_unused(context: typer.Context, method: Method, start: Start, lora: Path | None) -> None:
    """Raise an InputError if `jstyleid run` was given an option that its method does not use."""
    if method == "styleid":
        refuse_given(
            context,
            ("lora", *_TRAINING),
            "--method styleid uses no LoRA. Leave this out, or give another --method.",
        )
    if method == "dreambooth":
        refuse_given(
            context,
            _STYLEID,
            "--method dreambooth stylises nothing. Leave this out, or give another --method.",
        )
    if lora:
        refuse_given(
            context, _TRAINING, "nothing is trained with --lora. Leave this or --lora out."
        )
    refuse_strength(context, start)


def refuse_strength(context: typer.Context, start: Start) -> None:
    """Raise an InputError if a strength was given for a start that has none."""
    if start == "noise":
        refuse_given(context, ["strength"], "belongs to --start mean. Give both, or neither.")


def method_settings(
    *, steps: int, gamma: float, temperature: float, layers: str, adain: bool, injection: bool
) -> StyleIDSettings:
    """The settings object the options describe.

    Raises:
        InputError: a value is not allowed.
    """
    return StyleIDSettings.create(
        steps=steps,
        gamma=gamma,
        temperature=temperature,
        layers=parse_layers(layers),
        adain=adain,
        injection=injection,
    )


def training_settings(
    preset: Preset,
    given: Mapping[str, Any],
    prior: bool | None = None,
    prior_given: Mapping[str, Any] | None = None,
    backend: Backend = "native",
) -> TrainingSettings:
    """A preset's settings, with what was given in their place.

    Args:
        preset: whose values are used where nothing is given.
        given: by the settings' names; None where an option was left out. A `max_grad_norm` of 0
            never scales.
        prior: with prior preservation or without; None as the preset has it.
        prior_given: of prior preservation, in the same way.
        backend: whose networks are trained on.

    Raises:
        InputError: a value is not allowed, or prior preservation is described and not used, or
            the backend cannot do it.
    """
    values = {**PRESETS[preset], **_without_none(given)}
    if values.get("max_grad_norm") == 0:
        values["max_grad_norm"] = None
    asked = _without_none(prior_given or {})
    used = values.get("prior") is not None if prior is None else prior
    if asked and not used:
        options = ", ".join(f"--prior-{name}" for name in asked)
        raise InputError(
            f"{options}: this training is without prior preservation. Give --prior, or leave it "
            "out."
        )
    values["prior"] = {**(values.get("prior") or {}), **asked} if used else None
    settings = TrainingSettings.create(values)
    if backend == "jdiffusion" and settings.gradient_checkpointing:
        raise InputError(NO_CHECKPOINTING)  # now, not after loading a checkpoint
    return settings


def _without_none(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


class RunOptions(TypedDict):
    """The options that decide the pictures, as the command line gives them."""

    split: str
    data: Path
    method: Method
    styles: str | None
    prompts: int | None
    reference: str
    seed: int
    size: str
    content_steps: int
    guidance: float
    negative: str
    template: str | None
    templates: Path | None
    start: Start
    strength: float
    lora: Path | None
    preset: Preset
    train_steps: int | None
    rank: int | None
    lr: float | None
    gradient_checkpointing: bool | None
    steps: int
    gamma: float
    temperature: float
    layers: str
    adain: bool
    injection: bool
    backend: Backend


def read_choices(context: typer.Context, **told: Unpack[RunOptions]) -> PictureChoices:
    """What the options choose.

    Raises:
        InputError: a value is not allowed, or an option was given that the method does not use.
    """
    method, lora, size = told["method"], told["lora"], parse_size(told["size"])
    refuse_unused(context, method, told["start"], lora)
    training = styleid = None
    if method != "styleid" and lora is None:
        given = {
            "steps": told["train_steps"],
            "rank": told["rank"],
            "learning_rate": told["lr"],
            "gradient_checkpointing": told["gradient_checkpointing"],
            "size": size,
            "seed": told["seed"],
        }
        training = training_settings(told["preset"], given, backend=told["backend"])
    if method != "dreambooth":
        styleid = method_settings(
            steps=told["steps"],
            gamma=told["gamma"],
            temperature=told["temperature"],
            layers=told["layers"],
            adain=told["adain"],
            injection=told["injection"],
        )
    return PictureChoices(
        split=told["split"],
        data=told["data"],
        styles=told["styles"],
        prompts=told["prompts"],
        method=method,
        lora=lora,
        seed=told["seed"],
        size=size,
        content_steps=told["content_steps"],
        guidance=told["guidance"],
        negative=told["negative"],
        template=told["template"],
        templates=told["templates"],
        start=told["start"],
        strength=told["strength"],
        training=training,
        styleid=styleid,
        reference=told["reference"] if styleid else None,
        backend=told["backend"],
    )
