"""`jstyleid generate --lora` with the real model, on a small checkpoint."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from jstyleid_core import runtime
from jstyleid_runner.cli import app
from jstyleid_runner.planning.limits import adapted_layouts
from reference_sets import GOLDEN_LORA

LORA = GOLDEN_LORA / "jittor.safetensors"


@pytest.fixture(scope="module")
def checkpoint(lora_checkpoint: Path) -> Path:
    return lora_checkpoint


@pytest.fixture(autouse=True)
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "redirect_native_output", lambda path: None)
    monkeypatch.chdir(tmp_path)


def generate(checkpoint: Path, name: str, *options: object) -> Any:
    arguments = ["generate", "Ring", "-o", name, "--model", checkpoint, "--size", 64, "--steps", 2,
                 *options]
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_lora_changes_the_picture_and_is_recorded(checkpoint: Path) -> None:
    options = {"plain.png": (), "full.png": ("--lora", LORA),
               "half.png": ("--lora", f"{LORA}:0.5"), "none.png": ("--lora", f"{LORA}:0"),
               "twice.png": ("--lora", f"{LORA}:0.5", "--lora", f"{LORA}:.5")}
    for name, given in options.items():
        result = generate(checkpoint, name, *given)
        assert result.exit_code == 0, result.output
    pictures = {}
    for name in options:
        with Image.open(name) as image:
            pictures[name] = np.asarray(image.convert("RGB")).astype(int)
            recorded = json.loads(image.info["jstyleid"])
            weights = [lora["weight"] for lora in recorded.get("loras", [])]
            assert weights == {"plain.png": [], "full.png": [1], "half.png": [0.5],
                               "none.png": [0], "twice.png": [0.5, 0.5]}[name]
    for name in ("full.png", "half.png"):
        assert np.abs(pictures[name] - pictures["plain.png"]).max() > 10
    assert np.abs(pictures["full.png"] - pictures["half.png"]).max() > 10
    assert np.array_equal(pictures["none.png"], pictures["plain.png"])
    assert np.abs(pictures["twice.png"] - pictures["full.png"]).max() <= 1


def test_headers_have_the_shapes_of_the_layers(checkpoint: Path) -> None:
    from jstyleid_core import StableDiffusion
    from jstyleid_dreambooth import LoRAs

    model = StableDiffusion.load(checkpoint)
    for part, layers in LoRAs.of(model).layouts.items():
        assert layers
        assert layers.items() <= adapted_layouts(model.checkpoint)[part].items()
