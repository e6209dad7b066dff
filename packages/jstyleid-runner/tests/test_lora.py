"""`jstyleid generate --lora` with the real model, on a small checkpoint."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from jstyleid_core import runtime
from jstyleid_dreambooth import LoRAWeights, LowRank, write_lora
from jstyleid_runner.cli import app
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


def test_a_wrong_lora_is_named_before_anything_is_drawn(checkpoint: Path) -> None:
    Path("noise.safetensors").write_bytes(b"noise")
    layer = LowRank(np.zeros((4, 1280), np.float32), np.zeros((1280, 4), np.float32), 4)
    path = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    write_lora("large.safetensors", LoRAWeights({"unet": {path: layer}}))
    for given, message in (("missing.safetensors", "missing.safetensors"),
                           ("missing.safetensors:0.5", "missing.safetensors"),
                           ("noise.safetensors", "noise.safetensors"),
                           ("large.safetensors", f"another architecture than this model:\n  "
                                                 f"unet.{path}")):
        result = generate(checkpoint, "o.png", "--lora", given)
        assert result.exit_code == 2, result.output
        assert message in result.stderr
        assert not Path("o.png").exists()
