"""The settings of a training from the options of a command."""

from collections.abc import Mapping
from typing import Any

from jstyleid_core.backends.jdiffusion import no_checkpointing
from jstyleid_core.errors import InputError
from jstyleid_core.runtime import Backend
from jstyleid_dreambooth.training.presets import PRESETS, Preset
from jstyleid_dreambooth.training.settings import TrainingSettings


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
        raise no_checkpointing()  # now, not after loading a checkpoint
    return settings


def _without_none(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
