"""Sampling, inversion and the whole of StyleID against diffusers, 20 steps each."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest

from jstyleid_core import StyleID, StyleIDSettings
from jstyleid_core.diffusion.ddim import ddim_inversion, ddim_sampling
from jstyleid_core.diffusion.denoiser import guided
from jstyleid_core.pipeline import InitialLatents
from jstyleid_core.runtime.jittor import jt
from prompt_strings import NEGATIVE_PROMPT, PROMPT
from reference_sets import GOLDEN, RANKS, START_SEED, START_STRENGTH, Reference, distance

STEPS, SAMPLING, STYLEID = 20, 1e-4, 1e-3

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "reconstruction": {"injection": False, "start_latents": "none"},
    "adain": {"injection": False},
    "inject": {"start_latents": "none"},
    "strong": {"gamma": 0.3},
    "neutral": {"temperature": 1.0},
    "paper_layers": {"layers": (6, 7, 8, 9, 10, 11)},
    "all_layers": {"layers": tuple(range(3, 12))},
    "joint": {"rule": "joint"},
    "gated": {"rule": "gated"},
    "moments": {"rule": "gated", "moments": 0.2},
    "efdm": {"start_latents": "efdm"},
    "fixed_point": {"inversion": "fixed-point:3"},
}


def last(steps: Any) -> Any:
    return deque(steps, maxlen=1).pop()


def test_sampling_with_guidance(reference: Reference, reference_model: Any) -> None:
    model = reference_model
    context = jt.concat([model.embed([NEGATIVE_PROMPT]), model.embed([PROMPT])], dim=0)
    denoise = model.denoiser(guided(model.network(context), 7.5))
    noise = jt.array(reference.values["sample.noise"])
    found = last(ddim_sampling(denoise, noise, model.schedule, STEPS)).latents
    assert distance(found, reference.values["sample.latent"]) <= SAMPLING


def test_drawing_from_a_picture(reference: Reference, reference_model: Any) -> None:
    start = InitialLatents(jt.array(reference.values["start.latent"]), START_STRENGTH)
    steps = list(reference_model.sample(
        [PROMPT], [START_SEED], steps=STEPS, negative_prompt=NEGATIVE_PROMPT, size=(128, 128),
        start=start))
    assert len(steps) == 18
    assert distance(steps[-1].latents, reference.values["start.drawn"]) <= SAMPLING


def test_inversion(reference: Reference, reference_model: Any) -> None:
    model = reference_model
    denoise = model.denoiser(model.network(model.empty_prompt))
    latent = jt.array(reference.values["invert.latent"])
    found = last(ddim_inversion(denoise, latent, model.schedule, STEPS)).latents
    assert distance(found, reference.values["invert.noise"]) <= SAMPLING


@pytest.mark.parametrize("style", ["style", "wide.style"])
def test_whole_styleid(reference: Reference, reference_model: Any, style: str) -> None:
    """A style of the content's shape, and one of another."""
    variant = "default" if style == "style" else "wide"
    styleid = StyleID(reference_model, StyleIDSettings(steps=STEPS))
    inverted = styleid.invert_style(reference.picture(f"styleid.{style}"))
    expected = reference.values[f"styleid.{style}_inverted"]
    assert distance(inverted.latents, expected) <= SAMPLING

    step = last(styleid.steps([reference.picture("styleid.content")], inverted))
    assert distance(step.x0, reference.values[f"styleid.{variant}.latent"]) <= STYLEID
    [picture] = reference_model.decode(step.x0)
    difference = np.asarray(picture, int) - reference.values[f"styleid.{variant}.picture"]
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("variant", [v for v in VARIANTS if v != "default"])
def test_every_setting_of_styleid(references: Any, models: Any, name: str, variant: str) -> None:
    reference, styleid = references(name), StyleID(models(name), StyleIDSettings(
        steps=STEPS, **VARIANTS[variant]))
    style = styleid.invert_style(reference.picture("styleid.style"))
    step = last(styleid.steps([reference.picture("styleid.content")], style))
    limit = RANKS if variant == "efdm" else STYLEID
    assert distance(step.x0, reference.values[f"styleid.{variant}.latent"]) <= limit


def test_two_styles_together(reference: Reference, reference_model: Any) -> None:
    styleid = StyleID(reference_model, StyleIDSettings(steps=STEPS))
    styles = [styleid.invert_style(reference.picture(f"styleid.{name}"))
              for name in ("style", "wide.style")]
    step = last(styleid.steps([reference.picture("styleid.content")], styles))
    assert distance(step.x0, reference.values["styleid.together.latent"]) <= STYLEID
