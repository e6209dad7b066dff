"""Checkpoints that users of JDiffusion have: what it saved itself, and half precision files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from backend_choice import both, predicted
from jstyleid_core import StableDiffusion
from jstyleid_core.errors import CheckpointError
from jstyleid_dreambooth.converting import convert
from reference_sets import distance
from small_checkpoint import WEIGHT_FILES, build

UNET = 1e-5


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sd21-v", tmp_path_factory.mktemp("checkpoint"))


@pytest.mark.parametrize("backend", ["native", "jdiffusion"])
def test_what_it_saved_is_refused_until_it_is_converted(
    backend: Any, checkpoint: Path, tmp_path: Path
) -> None:
    """The config that JDiffusion writes beside the weights is read, too."""
    folder = tmp_path / "saved"
    shutil.copytree(checkpoint, folder)
    models = both(folder)
    expected = predicted(models["native"].networks)
    for part in ("unet", "vae"):
        shutil.rmtree(folder / part)
        getattr(models["jdiffusion"].networks, part).save_pretrained(folder / part)
    with pytest.raises(CheckpointError, match="Only .bin files are there; pickles can run code"):
        StableDiffusion.load(folder, backend=backend)
    convert(folder)
    converted = StableDiffusion.load(folder, backend=backend)
    assert distance(predicted(converted.networks), expected) <= UNET


def test_half_precision_files_are_the_same_in_both(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "half"
    shutil.copytree(checkpoint, folder)
    for part, name in WEIGHT_FILES.items():
        file = folder / part / name
        half = {key: value.astype(np.float16) if value.dtype == np.float32 else value
                for key, value in load_file(file).items()}
        file.unlink()
        save_file(half, file.with_suffix(".fp16.safetensors"))
    native, other = (predicted(model.networks) for model in both(folder).values())
    assert distance(other, native) <= UNET
    wide = predicted(StableDiffusion.load(checkpoint).networks)
    assert distance(native, wide) > UNET, "still wide"
