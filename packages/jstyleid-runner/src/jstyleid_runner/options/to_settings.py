"""Settings from options: sizes, names of styles and layers, style transfer and trainings."""

import re
from collections.abc import Mapping
from dataclasses import fields
from importlib.util import find_spec
from typing import Any

import typer

from jstyleid_core import StyleIDSettings
from jstyleid_core.backends.jdiffusion import no_checkpointing
from jstyleid_core.errors import InputError, setting
from jstyleid_core.runtime import Backend
from jstyleid_core.styleid.layers import parse_layers
from jstyleid_core.styleid.strengths import STRENGTHS, Override, parse_strength
from jstyleid_dreambooth.prompts import check_template
from jstyleid_dreambooth.training.presets import PRESETS, Preset
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.choices import DIRECT, WITHOUT_LORA, Start
from jstyleid_runner.errors import about
from jstyleid_runner.options.presets import training_preset
from jstyleid_runner.options.run import LoRAOptions, RunOptions
from jstyleid_runner.options.sources import refuse_given, values_of
from jstyleid_runner.options.styleid import StyleIDOptions
from jstyleid_runner.options.training import MonitoringOptions, PriorOptions, TrainingOptions
from jstyleid_runner.planning.monitoring import Monitoring

_SIZE = re.compile(r"([0-9]{1,5})(?:x([0-9]{1,5}))?", re.IGNORECASE)
_LARGEST = 4096
"""Pixels a side: attention of more would take hundreds of gigabytes."""


def parse_size(text: str) -> tuple[int, int]:
    """Width and height. Whether a model can draw them is for the model to say."""
    match = _SIZE.fullmatch(text.strip())
    size = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if 0 in size:
        raise InputError(
            f"--size {text}: not a size. Give pixels, as 512 or 768x512.",
            fields=["size"],
        )
    if max(size) > _LARGEST:
        raise InputError(
            f"--size {text}: at most {_LARGEST} pixels a side.", fields=["size"])
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
        raise InputError(
            f"{option} {text}: names no layer. Give names, as to_q,to_k,to_v.",
            fields=[_parameter(option)],
        )
    return names


def named_styles(option: str, text: str | None) -> list[str] | None:
    """The folders that an option names; None where it was left out.

    Raises:
        InputError: it names none.
    """
    if text is None:
        return None
    names = [name for style in text.split(",") if (name := style.strip().rstrip("/"))]
    if not names:
        raise InputError(
            f"{option} {text}: names no style. Give folder names, as 00,04.",
            fields=[_parameter(option)],
        )
    return names


_TRAINING = tuple(field.name for field in fields(LoRAOptions) if field.name != "lora")
_STYLEID = ("reference", "content_trajectory", "negative_query",
            *(field.name for field in fields(StyleIDOptions)))


def refuse_unused(context: typer.Context, options: RunOptions) -> None:
    """Raise an InputError if `jstyleid run` was given an option that its method does not use."""
    # Presets of more than trainings are used in any case.
    training = [name for name in _TRAINING
                if name != "preset" or options.preset in ("baseline", "tuned")]
    if options.method in WITHOUT_LORA:
        refuse_given(
            context,
            ("lora", *training),
            f"--method {options.method} uses no LoRA. Leave this out, or give another --method.",
        )
    if options.method == "dreambooth":
        refuse_given(
            context,
            _STYLEID,
            "--method dreambooth stylises nothing. Leave this out, or give another --method.",
        )
    _refuse_for_contents(context, options)
    if options.lora:
        refuse_given(
            context, training, "nothing is trained with --lora. Leave this or --lora out."
        )
    refuse_strength(context, options.start)


def _refuse_for_contents(context: typer.Context, options: RunOptions) -> None:
    """Refuse what belongs to another way from a prompt to a stylised picture."""
    direct = options.method in DIRECT
    if direct:
        refuse_given(context, ["gamma", "content_trajectory"],
                     f"--method {options.method} stylises while it draws, and has no content. "
                     "Leave this out, or give another --method.")
    elif options.negative_query:
        refuse_given(context, ["negative_query"],
                     "belongs to --method direct or direct-dreambooth. Give one of them, or leave "
                     "this out.")
    if direct or options.content_trajectory:
        refuse_given(context, ["content_steps"],
                     "the drawing is stylised in its own steps. Give their number by --steps.")
    if options.content_trajectory:
        refuse_given(context, ["start"],
                     "--content-trajectory stylises from the noise that the drawing starts from. "
                     "Leave one of them out.")


def refuse_strength(context: typer.Context, start: Start) -> None:
    """Raise an InputError if a strength was given for a start that has none."""
    if start == "noise":
        refuse_given(context, ["strength"], "belongs to --start mean. Give both, or neither.")


def styleid_settings(options: StyleIDOptions, seed: int) -> StyleIDSettings:
    """The settings of style transfer.

    Args:
        options: options of the command.
        seed: seed of the command.

    Raises:
        InputError: a value is not allowed.
    """
    _refuse_for_rule(options)
    values = _without_none(_values(options, StyleIDOptions))
    with about("layers"):
        values["layers"] = parse_layers(options.layers)
    overrides: list[Override] = []
    for name in STRENGTHS:
        plain, more = parse_strength(name, values.pop(name, ()))
        overrides += more
        if plain is not None:
            values[name] = plain
    # The seed of a setting that draws no numbers would make two equal runs differ.
    if options.inversion == "noised" or options.start_latents == "frequency":
        values["seed"] = seed
    return StyleIDSettings.create(**values, overrides=tuple(overrides))


def _refuse_for_rule(options: StyleIDOptions) -> None:
    """Raise an InputError if an option was given that the rule does not use."""
    unused = {"styleid": ("style_factor", "gate", "moments"), "joint": ("gate",), "gated": ()}
    given = [name for name in unused[options.rule] if getattr(options, name) is not None]
    if given:
        names = ", ".join(setting(name) for name in given)
        rules = "joint or gated" if options.rule == "styleid" and given != ["gate"] else "gated"
        raise InputError(
            f"{names}: not used by --rule {options.rule}. Give --rule {rules}, or leave this out.",
            fields=given)


def run_styleid(options: RunOptions) -> StyleIDSettings | None:
    """The settings of style transfer in a run; None where its method transfers no style.

    Raises:
        InputError: a value is not allowed.
    """
    if options.method == "dreambooth":
        return None
    made = styleid_settings(options, options.seed)
    return made.model_copy(update={"negative_query": options.negative_query})


def run_training(options: RunOptions) -> TrainingSettings | None:
    """The settings of the trainings of a run; None where it trains no LoRA.

    Raises:
        InputError: a value is not allowed.
    """
    if options.method in WITHOUT_LORA or options.lora is not None:
        return None
    given = {
        "steps": options.train_steps,
        "rank": options.rank,
        "learning_rate": options.lr,
        "schedule": options.schedule,
        "warmup_steps": options.warmup_steps,
        "gradient_checkpointing": options.gradient_checkpointing,
        "caption_dropout": options.caption_dropout,
        "buckets": options.buckets,
        "size": parse_size(options.size),
        "seed": options.seed,
    }
    try:
        return training_settings(training_preset(options.preset), given, backend=options.backend)
    except InputError as error:
        names = {"steps": "train_steps", "learning_rate": "lr"}
        text = str(error).replace(f"{setting('steps')} ", f"{setting('train_steps')} ")
        raise InputError(
            text, fields=[names.get(field, field) for field in error.fields]
        ) from error


def train_settings(
    options: TrainingOptions, prior: PriorOptions, seed: int, backend: Backend
) -> TrainingSettings:
    """The settings of the trainings of `jstyleid train`.

    Raises:
        InputError: a value is not allowed.
    """
    given = {name: value for name, value in _values(options, TrainingOptions).items()
             if name != "preset"}
    given["targets"] = layer_names("--targets", options.targets)
    given["text_targets"] = layer_names("--text-targets", options.text_targets)
    given["size"] = parse_size(options.size) if options.size is not None else None
    of_prior = {name.removeprefix("prior_"): value
                for name, value in _values(prior, PriorOptions).items() if name != "prior"}
    return training_settings(
        options.preset, given | {"seed": seed}, prior.prior, of_prior, backend)


def training_settings(
    preset: Preset,
    given: Mapping[str, Any],
    prior: bool | None = None,
    prior_given: Mapping[str, Any] | None = None,
    backend: Backend = "native",
) -> TrainingSettings:
    """A preset's settings, with what was given in their place.

    Args:
        preset: name of the preset, which has the values of options that were left out.
        given: values by the settings' names; None where an option was left out. With a
            `max_grad_norm` of 0 gradients are never scaled.
        prior: whether prior preservation is used; None as the preset has it.
        prior_given: values of prior preservation, in the same way.
        backend: backend that trains.

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
            "out.",
            fields=["prior"],
        )
    values["prior"] = {**(values.get("prior") or {}), **asked} if used else None
    settings = TrainingSettings.create(values)
    if backend == "jdiffusion" and settings.gradient_checkpointing:
        raise no_checkpointing()  # now, not after loading a checkpoint
    return settings


def monitoring_of(context: typer.Context, options: MonitoringOptions) -> Monitoring:
    """What trainings show and keep on their way.

    Raises:
        InputError: a prompt cannot be filled in, or options contradict each other.
    """
    if options.validate_every is None:
        refuse_given(context, ["validation_prompts", "sample_prompt"],
                     "nothing is drawn without --sample-every. Give it, or leave this out.")
    prompts = values_of(context, "sample_prompt", options.sample_prompt or [])
    if prompts:
        refuse_given(context, ["validation_prompts"],
                     "--sample-prompt says what is drawn. Leave one of them out.")
    with about("sample_prompt"):
        for prompt in prompts:
            check_template(prompt, ("style",), "--sample-prompt")
    # A folder of this name, as every run of it leaves one, is a package without an origin.
    if options.wandb is not None and getattr(find_spec("wandb"), "origin", None) is None:
        raise InputError(
            f"--wandb {options.wandb}: the package wandb is not installed. Install it: pip install "
            "'jstyleid-runner[wandb]'",
            fields=["wandb"],
        )
    return Monitoring(options.checkpoint_every, options.keep_checkpoints, options.validate_every,
                      tuple(prompts), options.validation_prompts, options.wandb)


def _without_none(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _parameter(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def _values(options: Any, group: type[Any]) -> dict[str, Any]:
    """The values of one group of a command's options."""
    return {field.name: getattr(options, field.name) for field in fields(group)}
