"""Checkpoints that are `.bin` only: refused with the way out, which leads to the same weights."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from jstyleid_core.errors import CheckpointError
from jstyleid_core.weights.checkpoint import find_checkpoint
from jstyleid_core.weights.torch_files import torch_file
from small_checkpoint import WEIGHT_FILES, build

BIN = {"unet": "diffusion_pytorch_model.bin", "vae": "diffusion_pytorch_model.bin",
       "text_encoder": "pytorch_model.bin"}


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, dict[str, NDArray[np.float32]]]:
    """The weights of the checkpoint in `tmp_path`, which holds them as `.bin`."""
    build("sd21-v", tmp_path)
    weights = {}
    for part, name in WEIGHT_FILES.items():
        weights[part] = {key: value.astype(np.float32)
                         for key, value in load_file(tmp_path / part / name).items()}
        (tmp_path / part / BIN[part]).write_bytes(torch_file(weights[part]))
        (tmp_path / part / name).unlink()
    return weights


def convert(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "jstyleid_dreambooth.converting", str(folder)],
                          capture_output=True, text=True, check=False)


def test_the_message_names_the_command_that_helps(expected: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        find_checkpoint(tmp_path).weights("unet")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'unet'}: no safetensors weights. Only .bin files are")
    assert message.endswith(f": python -m jstyleid_dreambooth.converting {tmp_path}")
    done = convert(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        str(tmp_path / part / WEIGHT_FILES[part]) for part in ("text_encoder", "unet", "vae")]
    for part, weights in expected.items():
        [file] = find_checkpoint(tmp_path).weights(part)
        found = load_file(file)
        assert found.keys() == weights.keys()
        for name, values in weights.items():
            assert np.array_equal(found[name], values), name


def test_code_is_not_run(expected: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "unet" / BIN["unet"]
    file.write_bytes(pickle.dumps(print))
    done = convert(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {file} is not a file that torch 1.6 or later saved")
    assert not (tmp_path / "unet" / WEIGHT_FILES["unet"]).exists()


def test_a_folder_without_any(tmp_path: Path) -> None:
    done = convert(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path}: no component holds diffusion_pytorch_model")
