"""A LoRA is laid out for a network's layers, or the message says what it is for."""

from __future__ import annotations

import numpy as np
import pytest

from jstyleid_core.errors import CheckpointError
from jstyleid_dreambooth import LoRAWeights, LowRank
from jstyleid_dreambooth.lora.weights import Part, Shape, fit_layers

BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0"
LAYOUT: dict[Part, dict[str, Shape]] = {
    "unet": {f"{BLOCK}.attn2.to_k": (320, 1024), f"{BLOCK}.attn2.to_v": (320, 1024),
             "conv_in": (320, 4, 3, 3), "proj_in": (320, 320, 1, 1), "linear": (320, 320)},
}


def lora(path: str, down: tuple[int, ...], up: tuple[int, ...]) -> LoRAWeights:
    rng = np.random.default_rng(0)
    layer = LowRank(rng.random(down, np.float32), rng.random(up, np.float32), 2.0)
    return LoRAWeights({"unet": {path: layer}}, source="x.safetensors")


@pytest.mark.parametrize(("path", "down", "up"), [
    ("conv_in", (2, 4, 3, 3), (320, 2, 1, 1)),
    ("conv_in", (2, 36), (320, 2)),
    ("conv_in", (2, 36), (320, 2, 1, 1)),
    ("proj_in", (2, 320), (320, 2)),
    ("proj_in", (2, 320, 1, 1), (320, 2)),
    ("linear", (2, 320, 1, 1), (320, 2, 1, 1)),
    ("linear", (2, 320), (320, 2)),
])
def test_shapes_of_the_same_layer(path: str, down: tuple[int, ...], up: tuple[int, ...]) -> None:
    given = lora(path, down, up)
    layer = fit_layers(given, LAYOUT).layers["unet"][path]
    shape = LAYOUT["unet"][path]
    assert layer.down.shape == (2, *shape[1:])
    assert layer.up.shape == (320, 2, *(1,) * (len(shape) - 2))
    assert np.array_equal(layer.down.ravel(), given.layers["unet"][path].down.ravel())


@pytest.mark.parametrize(("path", "down", "up"), [
    ("conv_in", (2, 4, 1, 1), (320, 2, 1, 1)),
    ("conv_in", (2, 9, 2, 2), (320, 2, 1, 1)),
    ("conv_in", (2, 4), (320, 2)),
    ("linear", (2, 320, 3, 3), (320, 2, 1, 1)),
    ("linear", (2, 80, 2, 2), (320, 2, 1, 1)),
    ("linear", (2, 320, 1), (640, 2)),
    ("conv_in", (2, 4, 3, 3, 2), (320, 2)),
])
def test_shapes_of_other_layers(path: str, down: tuple[int, ...], up: tuple[int, ...]) -> None:
    with pytest.raises(CheckpointError, match=rf"another architecture .*\n  unet\.{path}: A "):
        fit_layers(lora(path, down, up), LAYOUT)


@pytest.mark.parametrize(("width", "words"), [
    (768, "Its cross attention reads 768 numbers of a prompt, as in Stable Diffusion 1; the "
          "model's reads 1024 numbers of a prompt, as in Stable Diffusion 2. Use a LoRA"),
    (48, "Its cross attention reads 48 numbers of a prompt; the model's reads 1024 numbers"),
])
def test_the_versions_are_named(width: int, words: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        fit_layers(lora(f"{BLOCK}.attn2.to_v", (2, width), (320, 2)), LAYOUT)
    assert words in str(caught.value)


def test_versions_that_nothing_tells() -> None:
    for path, down in ((f"{BLOCK}.attn2.to_v", (2, 1024)), ("linear", (2, 768))):
        given = lora(path, down, (640, 2))
        with pytest.raises(CheckpointError, match="layers do not fit. Use a LoRA that"):
            fit_layers(given, LAYOUT)
