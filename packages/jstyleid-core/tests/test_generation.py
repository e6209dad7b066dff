"""Text to image: what a picture depends on, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend_choice import backend
from jstyleid_core import StableDiffusion
from jstyleid_core.errors import InputError, NumbersError
from jstyleid_core.pipeline import InitialLatents
from jstyleid_core.runtime.jittor import jt
from reference_sets import Reference, distance

SIZE = (64, 64)


def latents(model: Any, prompts: list[str], seeds: list[int], **options: Any) -> np.ndarray:
    *_, step = model.sample(prompts, seeds, steps=3, size=SIZE, **options)
    return step.latents.numpy()


def test_a_seed_gives_its_picture_whatever_the_batch_and_order(model: Any) -> None:
    together = latents(model, ["a cat", "a boat", "a cat"], [5, 6, 7])
    assert distance(latents(model, ["a boat"], [6]), together[1:2]) <= 1e-5
    swapped = latents(model, ["a cat", "a boat"], [7, 6])
    assert distance(swapped[0], together[2]) <= 1e-5
    assert distance(together[0], together[2]) > 0.1  # another seed, another picture


def test_the_same_call_gives_the_same_bits(model: Any) -> None:
    first = model.generate(["a cat"], [1], steps=2, size=SIZE)[0]
    assert first.tobytes() == model.generate(["a cat"], [1], steps=2, size=SIZE)[0].tobytes()


def test_latents_come_step_by_step(model: Any) -> None:
    steps = list(model.sample(["a cat"], [1], steps=4, size=SIZE))
    assert [s.timestep for s in steps] == [751, 501, 251, 1]
    assert all(s.latents.shape == [1, 4, 8, 8] for s in steps)


def test_guidance_costs_two_evaluations_a_step_and_no_guidance_one(model: Any) -> None:
    before = model.evaluations
    model.generate(["a", "b"], [1, 2], steps=3, size=SIZE)
    assert model.evaluations - before == 2 * 2 * 3
    before = model.evaluations
    model.generate(["a"], [1], steps=3, size=SIZE, guidance_scale=1)
    assert model.evaluations - before == 3


def test_the_negative_prompt_counts(model: Any) -> None:
    plain = latents(model, ["a cat"], [1])
    assert distance(latents(model, ["a cat"], [1], negative_prompt="boat"), plain) > 1e-3


def test_a_start_of_full_strength_takes_all_steps_and_a_weak_one_keeps_the_picture(
    model: Any,
) -> None:
    [picture] = model.generate(["a cat"], [1], steps=2, size=SIZE)
    clean = model.encode([picture])
    before = model.evaluations
    full = latents(model, ["a"], [0], start=InitialLatents(clean, 1.0), guidance_scale=1)
    assert model.evaluations - before == 3
    weak = latents(model, ["a"], [0], start=InitialLatents(clean, 0.4), guidance_scale=1)
    assert model.evaluations - before == 4
    assert distance(weak, clean.numpy()) < distance(full, clean.numpy())


def test_sizes_are_width_times_height(model: Any) -> None:
    [picture] = model.generate(["a cat"], [0], steps=1, size=(128, 64))
    assert picture.size == (128, 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"size": (100, 64)}, "Use 64x64 or 128x64"), ({"size": (0, 64)}, "multiples of 64"),
     ({"steps": 0}, "steps = 0: must be between 1 and 999"), ({"steps": 1000}, "steps = 1000"),
     ({"start": InitialLatents(None, 0.5)}, "strength = 0.5 with 1 steps"),
     ({"start": InitialLatents(None, 1.5)},
      "strength = 1.5 with 1 steps: the strength must be above 0"),
     ({"seeds": [-1]}, "seed = -1"), ({"seeds": [1, 2]}, "one seed each")],
)
def test_impossible_requests(model: Any, options: dict[str, Any], message: str) -> None:
    call = {"seeds": [0], "steps": 1, "size": SIZE, **options}
    with pytest.raises(InputError, match=message):
        model.generate(["a cat"], **call)


def test_without_its_text_encoder_a_model_keeps_the_empty_prompt(small: Reference) -> None:
    model = StableDiffusion.load(small.checkpoint, backend=backend())
    expected = model.embed([""]).numpy()
    model.drop_text_encoder()
    model.drop_text_encoder()
    assert np.array_equal(model.empty_prompt.numpy(), expected)
    with pytest.raises(InputError, match="drop_text_encoder was called"):
        model.embed(["a boat"])


def test_numbers_that_are_not_finite_are_no_picture(small: Reference) -> None:
    model = StableDiffusion.load(small.checkpoint, backend=backend())
    latents = np.zeros((1, 4, 8, 8), np.float32)
    latents[0, 0, 0, 0] = np.nan
    with pytest.raises(NumbersError, match="the denoising has led to numbers that are not finite"):
        model.decode(jt.array(latents))
    layer = model.networks.vae.decoder.conv_out
    layer.bias = layer.bias * np.inf
    with pytest.raises(NumbersError, match="the autoencoder has led to numbers"):
        model.decode(jt.zeros((1, 4, 8, 8)))


@pytest.mark.parametrize("at", [1, 3])
def test_a_drawing_says_at_which_step_numbers_stopped_being_finite(
    small: Reference, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    model = StableDiffusion.load(small.checkpoint, backend=backend())
    predict, calls = model.networks.predict, itertools.count(1)
    monkeypatch.setattr(
        model.networks, "predict",
        lambda *inputs: predict(*inputs) * (np.nan if next(calls) == at else 1))
    with pytest.raises(NumbersError, match=f"step {at} of 4 of the drawing has led to numbers"):
        model.generate(["a boat"], [0], steps=4, size=SIZE)


def test_encoders_whose_numbers_are_not_finite(
    small: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = StableDiffusion.load(small.checkpoint, backend=backend())
    embed = model.networks.embed
    monkeypatch.setattr(model.networks, "embed", lambda tokens: embed(tokens) * np.nan)
    with pytest.raises(NumbersError, match="the text encoder has led to numbers"):
        model.embed(["a boat"])
    layer = model.networks.vae.quant_conv
    layer.bias = layer.bias * np.inf
    with pytest.raises(NumbersError, match="encoding a picture has led to numbers"):
        model.encode([Image.new("RGB", SIZE)])
