"""A LoRA in the formats of other programs: shapes, headers, and what a format cannot hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from jstyleid_core.errors import CheckpointError, OutputError
from jstyleid_dreambooth import LoRAWeights, LowRank, read_lora
from jstyleid_dreambooth.lora.files.formats import write_as

BLOCK = "down_blocks.0.attentions.0"
CONTEXT = f"{BLOCK}.transformer_blocks.0.attn2.to_k"


def layer(down: tuple[int, ...], up: tuple[int, ...], alpha: float = 1.0) -> LowRank:
    numbers = np.random.default_rng(0).standard_normal
    return LowRank(numbers(down).astype(np.float32), numbers(up).astype(np.float32), alpha)


def lora(layers: Any, **about: str) -> LoRAWeights:
    return LoRAWeights(layers, about, "ink.safetensors")


@pytest.mark.parametrize(("width", "projection"), [(768, (2, 8, 1, 1)), (1024, (2, 8))])
def test_layers_have_the_shapes_of_stable_diffusion(
    width: int, projection: tuple[int, ...], tmp_path: Path
) -> None:
    given = {
        CONTEXT: layer((2, width, 1, 1), (8, 2, 1, 1)),
        f"{BLOCK}.proj_in": layer((2, 8), (8, 2, 1, 1)),
        "down_blocks.0.resnets.0.conv1": layer((2, 8 * 9), (8, 2)),
        "down_blocks.0.resnets.0.conv_shortcut": layer((2, 8), (8, 2)),
        "down_blocks.0.downsamplers.0.conv": layer((2, 8, 3, 3), (8, 2, 1, 1)),
    }
    read = read_lora(write_as(tmp_path / "x.safetensors", lora({"unet": given}), "kohya"))
    shapes = {path: found.down.shape for path, found in read.layers["unet"].items()}
    assert shapes == {
        CONTEXT: (2, width),
        f"{BLOCK}.proj_in": projection,
        "down_blocks.0.resnets.0.conv1": (2, 8, 3, 3),
        "down_blocks.0.resnets.0.conv_shortcut": (2, 8, 1, 1),
        "down_blocks.0.downsamplers.0.conv": (2, 8, 3, 3),
    }
    for path, found in read.layers["unet"].items():
        assert found.up.ndim == found.down.ndim
        assert np.array_equal(found.down.ravel(), given[path].down.ravel())


def test_the_header_stays_but_for_digests_of_the_file(tmp_path: Path) -> None:
    given = lora({"unet": {CONTEXT: layer((2, 8), (4, 2))}}, prompt="in ink",
                 sshs_model_hash="12", **{"modelspec.hash_sha256": "0x12"})
    for name, form in (("d.safetensors", "diffusers"), ("k.safetensors", "kohya"), ("p", "peft")):
        about = read_lora(write_as(tmp_path / name, given, form)).about  # type: ignore[arg-type]
        of_network = ("rank", "alpha", "ss_network_module", "ss_network_dim", "ss_network_alpha")
        assert {key: about[key] for key in about if key not in of_network} == {"prompt": "in ink"}


def test_kohya_has_an_alpha_for_each_layer_exactly(tmp_path: Path) -> None:
    alphas = {"float32": 0.5, "float64": 3 * 2**0.5}
    for dtype, alpha in alphas.items():
        given = lora({"unet": {CONTEXT: layer((2, 8), (4, 2), alpha)}})
        path = write_as(tmp_path / f"{dtype}.safetensors", given, "kohya")
        with safe_open(path, framework="numpy") as opened:
            stored = opened.get_tensor(f"lora_unet_{CONTEXT.replace('.', '_')}.alpha")
        assert (stored.dtype, stored.shape, stored.item()) == (dtype, (), alpha)
        assert read_lora(path).layers["unet"][CONTEXT].alpha == alpha


def test_peft_is_one_network_in_a_new_folder(tmp_path: Path) -> None:
    text = "text_model.encoder.layers.0.mlp.fc1"
    both = lora({"unet": {CONTEXT: layer((2, 8), (4, 2))},
                 "text_encoder": {text: layer((2, 8), (4, 2))}})
    with pytest.raises(CheckpointError, match=r"ink\.safetensors changes the UNet and the text"):
        write_as(tmp_path / "both", both, "peft")
    alone = lora({"text_encoder": both.layers["text_encoder"]}, base_model="sd")
    folder = write_as(tmp_path / "new" / "text", alone, "peft")
    assert sorted(path.name for path in folder.iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors"]
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["target_modules"] == ["encoder.layers.0.mlp.fc1"]
    assert (config["base_model_name_or_path"], config["peft_type"]) == ("sd", "LORA")
    with pytest.raises(OutputError, match="text: there already, and not an empty folder"):
        write_as(folder, alone, "peft")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["text"]


@pytest.mark.parametrize("form", ["diffusers", "peft"])
def test_paths_that_patterns_cannot_tell_apart(form: Any, tmp_path: Path) -> None:
    given = lora({"unet": {"a.to_q": layer((2, 8), (4, 2), 3), "b.to_q": layer((2, 8), (4, 2), 3),
                           "to_q": layer((2, 8), (4, 2), 1)}})
    with pytest.raises(CheckpointError, match=r"ink\.safetensors: PEFT's patterns cannot tell"):
        write_as(tmp_path / "x.safetensors", given, form)
    again = read_lora(write_as(tmp_path / "k.safetensors", given, "kohya"))
    assert [found.alpha for _, _, found in again.items()] == [3, 3, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["k.safetensors"]


@pytest.mark.parametrize(("path", "down", "message"), [
    ("some_thing.to_q", (2, 8), r"unet\.some_thing\.to_q has no name in kohya's spelling"),
    ("a.to_q", (2, 8, 3, 3), r"a\.to_q is a linear layer in Stable Diffusion, but A is \[2, 8, 3"),
    ("a.conv1", (2, 8), r"a\.conv1 is a convolution of 3 x 3 in Stable Diffusion, but A is \[2, 8"),
])
def test_what_kohya_cannot_hold(
    path: str, down: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=message):
        write_as(tmp_path / "x", lora({"unet": {path: layer(down, (4, 2))}}), "kohya")
    assert not any(tmp_path.iterdir())
