"""The networks, sampling and StyleID on CUDA against diffusers, in float32 and float16."""

from __future__ import annotations

from collections import deque
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from jstyleid_core import StableDiffusion, Style, StyleID, StyleIDSettings
from jstyleid_core.diffusion.ddim import ddim_inversion
from jstyleid_core.images import to_array
from jstyleid_core.runtime.jittor import jt
from reference_sets import GOLDEN_VALUES, Reference, distance, read
from small_checkpoint import build

SET = "sd21-v"
NETWORK = {"float32": 5e-6, "float16": 5e-3}
"""The autoencoder computes in float32 in both cases."""
SAMPLING = {"float32": 1e-4, "float16": 2e-2}
STEPS = 20  # of the stored values

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {}, "joint": {"rule": "joint"}, "moments": {"rule": "gated", "moments": 0.2}}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    checkpoint: Path = build(SET, tmp_path_factory.mktemp("checkpoint"))
    return read(SET, checkpoint, GOLDEN_VALUES / f"{SET}.safetensors")


@pytest.fixture(scope="module")
def models(reference: Reference) -> Any:
    return cache(lambda dtype: StableDiffusion.load(reference.checkpoint, dtype=dtype))


@pytest.fixture(params=["float32", "float16"])
def dtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("key", ["unet", "unet.wide"])
def test_unet(reference: Reference, models: Any, dtype: str, key: str) -> None:
    values = reference.values
    with jt.no_grad():
        out = models(dtype).networks.predict(
            jt.array(values[f"{key}.sample"]), values[f"{key}.timestep"],
            jt.array(values[f"{key}.context"]))
    assert distance(out, values[f"{key}.out"]) <= NETWORK[dtype]


def test_text_encoder(reference: Reference, models: Any, dtype: str) -> None:
    with jt.no_grad():
        out = models(dtype).networks.embed(jt.array(reference.values["text.ids"])).float32()
    assert distance(out, reference.values["text.out"]) <= NETWORK[dtype]


@pytest.mark.parametrize("key", ["vae", "vae.wide"])
def test_autoencoder(reference: Reference, models: Any, key: str) -> None:
    networks, values = models("float32").networks, reference.values
    with jt.no_grad():
        mean, _ = networks.encode(jt.array(to_array([reference.picture(f"{key}.picture")])))
        decoded = networks.decode(jt.array(values[f"{key}.code"]))
    assert distance(mean, values[f"{key}.mean"]) <= 2 * NETWORK["float32"]
    assert distance(decoded, values[f"{key}.decoded"]) <= 2 * NETWORK["float32"]


def test_inversion(reference: Reference, models: Any, dtype: str) -> None:
    model = models(dtype)
    denoise = model.denoiser(model.network(model.empty_prompt))
    latent = jt.array(reference.values["invert.latent"])
    steps = ddim_inversion(denoise, latent, model.schedule, STEPS)
    found = deque(steps, maxlen=1).pop().latents
    assert distance(found, reference.values["invert.noise"]) <= SAMPLING[dtype]


@pytest.mark.parametrize(("variant", "dtype"), [
    ("default", "float32"), ("default", "float16"), ("joint", "float32"), ("moments", "float16")])
def test_styleid(
    reference: Reference, models: Any, variant: str, dtype: str, tmp_path: Path
) -> None:
    model, settings = models(dtype), StyleIDSettings(steps=STEPS, **VARIANTS[variant])
    styleid, path = StyleID(model, settings), tmp_path / "style.safetensors"
    styleid.invert_style(reference.picture("styleid.style")).save(path)
    style = Style.load(path, model=model, settings=settings)
    steps = styleid.steps([reference.picture("styleid.content")], style)
    latent = deque(steps, maxlen=1).pop().x0
    expected = reference.values[f"styleid.{variant}.latent"]
    assert distance(latent, expected) <= 10 * SAMPLING[dtype]
