"""The committed trainings are what torch computes, and diffusers loads a LoRA trained by Jittor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import lora_references
import schedule_references
import training_references
from reference_sets import GOLDEN_LORA, GOLDEN_VALUES, LORA_CHECKPOINT, distance
from reference_values import load
from small_checkpoint import build

GOLDEN_TRAINING = GOLDEN_VALUES / "training"
RESULT = 1e-5
# Of the smallest gradients; 6e-6 was seen between SSE, AVX2 and AVX-512.
GRADIENT = 3e-5


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small checkpoint that the committed files are for."""
    return build(LORA_CHECKPOINT, tmp_path_factory.mktemp("checkpoint"))


def cases(folder: Path) -> str:
    with safe_open(folder / training_references.FILE, framework="numpy") as opened:
        settings: str = opened.metadata()["cases"]
    return settings


def test_committed_training_is_what_torch_computes(checkpoint: Path, tmp_path: Path) -> None:
    training_references.write_set(tmp_path, checkpoint, 0, committed=True)
    assert cases(tmp_path) == cases(GOLDEN_TRAINING)
    made, committed = (load_file(folder / training_references.FILE)
                       for folder in (tmp_path, GOLDEN_TRAINING))
    assert made.keys() == committed.keys()
    results = ("context", ".losses", ".norms")
    for key, value in made.items():
        if ".gradient." in key:
            assert distance(value, committed[key]) <= GRADIENT, key
        elif ".end." in key or key.endswith(results):
            assert distance(value, committed[key]) <= RESULT, key
        else:
            assert np.array_equal(value, committed[key]), key


def test_diffusers_loads_what_jittor_trained(checkpoint: Path) -> None:
    values = load_file(GOLDEN_LORA / "values.safetensors")
    expected = load_file(GOLDEN_TRAINING / "jittor-values.safetensors")["unet"]
    pipeline = load(checkpoint)
    without = lora_references.unet_answer(pipeline.unet, values)
    pipeline.load_lora_weights(GOLDEN_TRAINING / "jittor.safetensors")
    assert distance(lora_references.unet_answer(pipeline.unet, values), expected) <= RESULT
    assert distance(without, expected) > 0.05


def test_committed_learning_rates_are_those_of_diffusers() -> None:
    committed = (GOLDEN_TRAINING / schedule_references.FILE).read_text()
    assert schedule_references.cases() == json.loads(committed)
