"""Both backends on the same weights: networks, StyleID and pictures agree."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from jstyleid_core import StyleID, StyleIDSettings
from jstyleid_core.runtime.jittor import jt
from reference_sets import distance

UNET, LATENTS = 1e-5, 1e-3
RNG = np.random.default_rng(0)
SAMPLE = RNG.standard_normal((2, 4, 8, 8), dtype=np.float32)


def answers(model: Any, context: Any) -> dict[str, Any]:
    """What the networks say to one input."""
    pictures = np.random.default_rng(1).uniform(-1, 1, (1, 3, 64, 64)).astype(np.float32)
    with jt.no_grad():
        mean, log_variance = model.networks.encode(jt.array(pictures))
        found = {
            "predict": model.networks.predict(jt.array(SAMPLE), np.array([501, 7]), context),
            "mean": mean, "log_variance": log_variance,
            "decode": model.networks.decode(jt.array(SAMPLE)),
            "embed": model.embed(["a boat", "Ring in style_00"]),
        }
        return {name: var.numpy() for name, var in found.items()}


def picture(seed: int) -> Image.Image:
    rough = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize((64, 64), Image.Resampling.BICUBIC)


def test_the_networks_agree(pair: dict[str, Any]) -> None:
    context = jt.array(pair["native"].embed(["a boat", "a cat"]).numpy())
    native, other = (answers(pair[name], context) for name in ("native", "jdiffusion"))
    for name, expected in native.items():
        assert other[name].dtype == np.float32
        assert distance(other[name], expected) <= UNET, name


def test_twenty_steps_of_styleid_agree(pair: dict[str, Any]) -> None:
    latents = {}
    for name, model in pair.items():
        styleid = StyleID(model, StyleIDSettings(steps=20))
        [*_, last] = styleid.steps([picture(1)], styleid.invert_style(picture(2)))
        latents[name] = (last.x0.numpy(), last.latents.numpy())
        plain = StyleID(model, StyleIDSettings(steps=20, injection=False))
        [*_, without] = plain.steps([picture(1)], plain.invert_style(picture(2)))
        assert distance(without.x0, latents[name][0]) > 10 * LATENTS, "nothing was injected"
    for found, expected in zip(latents["jdiffusion"], latents["native"], strict=True):
        assert distance(found, expected) <= LATENTS


def test_pictures_of_one_seed_agree(pair: dict[str, Any]) -> None:
    drawn = [np.asarray(model.generate(["a boat"], [0], steps=4, size=(64, 64))[0]).astype(int)
             for model in pair.values()]
    assert np.abs(drawn[0] - drawn[1]).max() <= 1


def test_layers_have_one_name_in_both(pair: dict[str, Any]) -> None:
    assert (list(pair["native"].networks.attentions())
            == list(pair["jdiffusion"].networks.attentions()))
