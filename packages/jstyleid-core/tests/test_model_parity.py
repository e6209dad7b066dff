"""The networks and the tokenizer against diffusers and transformers, on the same weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from computing import compute_by_plain_operators
from jstyleid_core import StableDiffusion
from jstyleid_core.images import to_array
from jstyleid_core.model.tokenizer import CLIPTokenizer
from jstyleid_core.runtime.jittor import jt
from prompt_strings import prompts
from reference_sets import Reference, distance

ONE_NETWORK = 5e-6
AUTOENCODER = 1e-5
"""Its rounding differs more with the random weights: torch's own float32 was 2.8e-6 away from
float64 where this one was 5.5e-6 away from torch, the most seen."""


@pytest.mark.parametrize("key", ["unet", "unet.wide"])
def test_unet(reference: Reference, reference_model: Any, key: str) -> None:
    values = reference.values
    with jt.no_grad():
        out = reference_model.networks.predict(
            jt.array(values[f"{key}.sample"]), values[f"{key}.timestep"],
            jt.array(values[f"{key}.context"]))
    assert distance(out, values[f"{key}.out"]) <= ONE_NETWORK


def test_text_encoder(reference: Reference, reference_model: Any) -> None:
    with jt.no_grad():
        out = reference_model.networks.embed(jt.array(reference.values["text.ids"]))
    assert distance(out, reference.values["text.out"]) <= ONE_NETWORK


@pytest.mark.parametrize("key", ["vae", "vae.wide"])
def test_vae_encoder(reference: Reference, reference_model: Any, key: str) -> None:
    pixels = to_array([reference.picture(f"{key}.picture")])
    with jt.no_grad():
        mean, logvar = reference_model.networks.encode(jt.array(pixels))
    assert distance(mean, reference.values[f"{key}.mean"]) <= AUTOENCODER
    assert distance(logvar, reference.values[f"{key}.logvar"]) <= AUTOENCODER


@pytest.mark.parametrize("key", ["vae", "vae.wide"])
def test_vae_decoder(reference: Reference, reference_model: Any, key: str) -> None:
    with jt.no_grad():
        decoded = reference_model.networks.decode(jt.array(reference.values[f"{key}.code"]))
    assert distance(decoded, reference.values[f"{key}.decoded"]) <= AUTOENCODER


def test_tokenizer_on_a_thousand_strings(reference: Reference, reference_model: Any) -> None:
    strings = prompts(reference.seed)
    assert len(strings) == 1000
    assert np.array_equal(reference_model.tokenizer(strings), reference.values["tokenizer.ids"])


CLIP = Path(os.environ.get("JSTYLEID_REFERENCE_FRESH", ""), "clip-tokenizer.safetensors")


if CLIP.is_file():  # made by the torch side; the vocabulary is too large to commit

    def test_tokenizer_with_the_real_vocabulary() -> None:
        with safe_open(CLIP, framework="numpy") as opened:
            seed = int(opened.metadata()["seed"])
        ids = CLIPTokenizer(CLIP.with_suffix(""))(prompts(seed))
        assert np.array_equal(ids, load_file(CLIP)["tokenizer.ids"])


@pytest.fixture
def plain_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    """No kernel of this project anywhere."""
    compute_by_plain_operators(monkeypatch)


@pytest.mark.usefixtures("plain_operators")
def test_the_networks_in_plain_operators(small: Reference, models: Any) -> None:
    """The kernels hide no mistake of the graph, nor the graph one of theirs."""
    model, values = models(small.name), small.values
    with jt.no_grad():
        unet = model.networks.predict(jt.array(values["unet.sample"]), values["unet.timestep"],
                                      jt.array(values["unet.context"]))
        decoded = model.networks.decode(jt.array(values["vae.code"]))
    assert distance(unet, values["unet.out"]) <= ONE_NETWORK
    assert distance(decoded, values["vae.decoded"]) <= ONE_NETWORK


@pytest.mark.usefixtures("plain_operators")
def test_half_precision_is_half_precision_throughout(small: Reference) -> None:
    """Types flow through the graph as on CUDA; Jittor sums in half here, hence the wide limit."""
    model = StableDiffusion.load(small.checkpoint)
    values = small.values
    with jt.no_grad():
        for network in (model.unet, model.text_encoder):
            for parameter in network.parameters():
                parameter.assign(parameter.float16())
        states = model.text_encoder(jt.array(values["text.ids"]))
        sample = jt.array(values["unet.sample"]).float16()
        waves = model.unet.waves(values["unet.timestep"], sample.shape[0])
        unet = model.unet(sample, waves, jt.array(values["unet.context"]).float16())
    assert (states.dtype, unet.dtype) == ("float16", "float16")
    assert distance(states.float32(), values["text.out"]) <= 2e-2
    assert distance(unet.float32(), values["unet.out"]) <= 5e-2
