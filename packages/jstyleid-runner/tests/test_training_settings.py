"""From the options of a training to its settings."""

import inspect
import re
from typing import Any, get_args

import pytest

from jstyleid_core.errors import InputError
from jstyleid_dreambooth.training.presets import PRESETS
from jstyleid_dreambooth.training.settings import PriorSettings, TrainingSettings
from jstyleid_runner.commands.run import run
from jstyleid_runner.commands.train import train
from jstyleid_runner.options.to_settings import layer_names, training_settings


def test_without_options_a_preset_decides() -> None:
    for preset, values in PRESETS.items():
        left_out = dict.fromkeys(TrainingSettings.model_fields)
        assert training_settings(preset, left_out) == TrainingSettings.create(values)


def test_options_take_the_place_of_the_presets_values() -> None:
    settings = training_settings("tuned", {"steps": 3, "learning_rate": 0.5}, None, {"images": 7})
    tuned = TrainingSettings.create(PRESETS["tuned"])
    assert tuned.prior
    prior = tuned.prior.model_copy(update={"images": 7})
    assert settings == tuned.model_copy(update={"steps": 3, "learning_rate": 0.5, "prior": prior})


def test_prior_preservation_on_and_off() -> None:
    assert training_settings("baseline", {}, True).prior == PriorSettings()
    assert training_settings("baseline", {}, True, {"weight": 2}).prior == PriorSettings(weight=2)
    assert training_settings("tuned", {}, False).prior is None


@pytest.mark.parametrize(("preset", "prior"), [("baseline", None), ("tuned", False)])
def test_prior_preservation_that_is_described_and_not_used(preset: Any, prior: Any) -> None:
    with pytest.raises(InputError, match="^--prior-weight, --prior-images: .* Give --prior"):
        training_settings(preset, {}, prior, {"weight": 1.0, "images": 3, "prompt": None})


def test_a_norm_of_0_never_scales() -> None:
    assert training_settings("baseline", {"max_grad_norm": 0.0}).max_grad_norm is None


def test_layer_names() -> None:
    assert layer_names("--targets", None) is None
    assert layer_names("--targets", "to_q, attn2.*") == ("to_q", "attn2.*")
    with pytest.raises(InputError, match="--targets ,: names no layer"):
        layer_names("--targets", ",")


@pytest.mark.parametrize("command", [train, run])
def test_the_help_says_the_values_there_are(command: Any) -> None:
    baseline = TrainingSettings()
    said = {
        "alpha": "the rank",
        "targets": ",".join(baseline.targets),
        "text_targets": "none",
        "size": "512",
        "prior": "no-prior",
        "gradient_checkpointing": "off",
        "buckets": "off",
    }
    names = {"train_steps": "steps", "lr": "learning_rate"} if command is run else {}
    seen = 0
    for name, parameter in inspect.signature(command).parameters.items():
        options = get_args(parameter.annotation)[1:]
        text = options[0].help if options else ""
        if name.startswith("prior_"):
            value = getattr(PriorSettings(), name.removeprefix("prior_"))
            assert re.search(rf"With --prior: {re.escape(_shown(value))}\.$", text)
        elif found := re.search(r"Baseline: (.*)\.$", text):
            setting = names.get(name, name)
            value = said.get(setting) or _shown(getattr(baseline, setting))
            assert (name, found[1]) == (name, value)
            seen += 1
    assert seen == (22 if command is train else 8)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
