"""A LoRA trained by either backend loads in the other and gives the same there."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from backend_choice import both, predicted
from jstyleid_core.progress import Progress
from jstyleid_dreambooth import (
    LoRAs,
    StyleImages,
    TrainingJob,
    TrainingSettings,
    read_lora,
    train_lora,
)
from reference_sets import GOLDEN_LORA, distance
from small_checkpoint import build

UNET = 1e-5
# Of all layers together; see MOVED in test_training_parity.py, which also holds either backend's
# gradients against those of torch.
TRAINED = 5e-3
TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
SIZE = (128, 128)  # of 64 pixels one token is left in the middle, whose attention is always 1


def sample(path: Path) -> Path:
    rough = np.random.default_rng(7).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(rough).resize(SIZE, Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return both(build("sd21-v", tmp_path_factory.mktemp("checkpoint")))


@pytest.fixture(scope="module")
def trained(models: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The LoRA's file by the backend that trained it."""
    files, image = {}, sample(tmp_path_factory.mktemp("samples") / "apple.png")
    for name, model in models.items():
        folder = tmp_path_factory.mktemp(name)
        settings = TrainingSettings.create({
            "steps": 4, "rank": 2, "size": SIZE, "crops": 1, "learning_rate": 1e-2,
            "targets": TARGETS, "seed": 3})
        job = TrainingJob((StyleImages("00", (image,)),), settings, folder / "00",
                          class_folder=folder / "class")
        loras = LoRAs.of(model)
        files[name] = train_lora(job, model, loras, Mock(spec=Progress))
        assert loras.mix == {}
    return files


def answer(model: Any, lora: Path | None) -> NDArray[Any]:
    loras = LoRAs.of(model)
    if lora is not None:
        loras.add("x", read_lora(lora))
    found = predicted(model.networks)
    loras.detach()
    return found


@pytest.mark.parametrize("by", ["native", "jdiffusion"])
def test_it_gives_the_same_in_both(
    by: str, models: dict[str, Any], trained: dict[str, Path]
) -> None:
    native, other = (answer(model, trained[by]) for model in models.values())
    assert distance(other, native) <= UNET
    plain = answer(models["native"], None)
    assert distance(native, plain) > 100 * UNET, "nothing was trained"


def test_both_train_the_same_lora(trained: dict[str, Path]) -> None:
    """Every layer of it: also `to_out.0`, whose LoRA JDiffusion's own training never moves."""
    native, other = (read_lora(path).layers["unet"] for path in trained.values())
    assert native.keys() == other.keys()
    assert any(path.endswith("to_out.0") for path in native)
    assert all(layer.up.any() for layer in other.values())
    for which in ("down", "up"):
        expected, found = (
            np.concatenate([getattr(lora[path], which).ravel() for path in native])
            for lora in (native, other))
        assert distance(found, expected) <= TRAINED, which


@pytest.mark.parametrize("name", ["diffusers.safetensors", "jittor.bin"])
def test_committed_files_give_the_same(name: str, models: dict[str, Any]) -> None:
    """What diffusers gives with them is in test_parity.py, which runs on both."""
    native, other = (answer(model, GOLDEN_LORA / name) for model in models.values())
    assert distance(other, native) <= UNET
