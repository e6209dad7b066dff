"""LoRA files go both ways: diffusers' are committed, and diffusers reads what Jittor wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import lora_references
import lora_schemes_torch
from converted_names import CONVERTED
from lora_schemes import RENAMED
from reference_sets import GOLDEN_LORA, LORA_CHECKPOINT, distance
from reference_values import load
from small_checkpoint import build

ONE_EVALUATION = 1e-5


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small checkpoint that the committed files are for."""
    return build(LORA_CHECKPOINT, tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    return load_file(GOLDEN_LORA / "values.safetensors")


def test_committed_set_is_what_diffusers_writes(checkpoint: Path, tmp_path: Path) -> None:
    lora_references.write_set(tmp_path, checkpoint, 0, committed=True)
    for name, limit in (("diffusers", 0.0), ("values", ONE_EVALUATION)):
        made = load_file(tmp_path / f"{name}.safetensors")
        committed = load_file(GOLDEN_LORA / f"{name}.safetensors")
        assert made.keys() == committed.keys()
        assert max(distance(made[key], committed[key]) for key in made) <= limit


def test_committed_updates_are_those_of_diffusers_and_peft(checkpoint: Path) -> None:
    """Those of files that differ by their names only are the same ones."""
    committed = load_file(GOLDEN_LORA / lora_schemes_torch.FILE)
    made = lora_schemes_torch.updates(checkpoint)
    schemes = {key: key.split(":") for key in made}
    expected = {key: f"{RENAMED.get(scheme, scheme)}:{layer}"
                for key, (scheme, layer) in schemes.items()}
    assert set(expected.values()) == committed.keys()
    assert max(distance(made[key], committed[expected[key]]) for key in made) <= ONE_EVALUATION


def test_diffusers_loads_its_own_file_as_it_was(checkpoint: Path, values: dict[str, Any]) -> None:
    pipeline = load(checkpoint)
    pipeline.load_lora_weights(GOLDEN_LORA / lora_references.DIFFUSERS)
    assert distance(lora_references.unet_answer(pipeline.unet, values),
                    values["attention.unet"]) <= ONE_EVALUATION


@pytest.mark.parametrize("name", CONVERTED)
def test_converted_loras_make_the_updates_of_what_they_were(name: str, checkpoint: Path) -> None:
    scheme, form, part = CONVERTED[name]
    committed = load_file(GOLDEN_LORA / lora_schemes_torch.FILE)
    prefix = f"{RENAMED.get(scheme, scheme)}:"
    expected = {key.removeprefix(prefix): update for key, update in committed.items()
                if key.startswith(f"{prefix}{part or ''}")}
    reader = {"diffusers": "header", "peft": "peft", "kohya": "kohya"}[form]
    if part == "text_encoder":
        reader = "peft-text"
    made = lora_schemes_torch.updates_of(
        reader, GOLDEN_LORA / "converted" / name, checkpoint)
    assert made.keys() == expected.keys()
    # Where alpha differs among attention layers, diffusers takes the most common of a kohya file.
    compared = [key for key in made
                if form != "kohya" or scheme == "comfyui" or ".attn" not in key]
    assert "unet.conv_in" in compared or form != "kohya"
    assert max(distance(made[key], expected[key]) for key in compared) <= ONE_EVALUATION


@pytest.mark.parametrize("name", ["jittor.safetensors", "jittor.bin"])
def test_diffusers_loads_what_jittor_wrote(
    name: str, checkpoint: Path, values: dict[str, Any]
) -> None:
    pipeline = load(checkpoint)
    without = lora_references.unet_answer(pipeline.unet, values)
    expected = load_file(GOLDEN_LORA / "jittor-values.safetensors")
    pipeline.load_lora_weights(GOLDEN_LORA / name)
    unet = lora_references.unet_answer(pipeline.unet, values)
    assert distance(unet, expected["unet"]) <= ONE_EVALUATION
    assert distance(without, expected["unet"]) > 0.05
    if name.endswith("safetensors"):
        text = lora_references.text_answer(pipeline, values)
        assert distance(text, expected["text"]) <= ONE_EVALUATION


def test_torch_reads_the_pickle_with_tensors_only() -> None:
    tensors = torch.load(GOLDEN_LORA / "jittor.bin", weights_only=True)
    stored = load_file(GOLDEN_LORA / "jittor.safetensors")
    assert tensors.keys() == {key for key in stored if key.startswith("unet.")}
    for key, tensor in tensors.items():
        if ".down." in key:  # B is multiplied by alpha / rank
            assert np.array_equal(tensor.numpy(), stored[key])
