"""What the checkpoint cannot compute is refused in planning, by its configuration files alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jstyleid_core.errors import InputError
from jstyleid_core.styleid.layers import check_layers
from jstyleid_core.weights.checkpoint import EMBEDDED_MODEL, CheckpointSource, find_checkpoint
from jstyleid_dreambooth import LoRAWeights, LowRank, write_lora
from jstyleid_runner.planning.limits import check_run, size_multiple_of
from jstyleid_runner.settings import RunSettings

Invoke = Callable[..., tuple[int, str]]
pytestmark = pytest.mark.usefixtures("no_jittor", "data")

REFUSED = [
    (["--size", "65"], "size 65x65: width and height must be multiples of 64"),
    (["--size", "64x100"], "Use 64x64 or 64x128"),
    (["--steps", "1000"], "steps = 1000: must be between 1 and 999"),
    (["--content-steps", "1000", "--method", "styleid"],
     "content_steps = 1000: must be between 1 and 999"),
    (["--steps", "1000", "--method", "direct"], "steps = 1000: must be between 1 and 999"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED)
@pytest.mark.parametrize("command", ["plan", "run"])
def test_settings_of_a_run(
    command: str, words: list[str], said: str, invoke: Invoke, tmp_path: Path
) -> None:
    code, stderr = invoke(command, "--split", "S", "--model", EMBEDDED_MODEL, *words)
    assert (code, said in stderr) == (2, True), stderr
    assert not (tmp_path / "out").exists()


def test_settings_of_a_sweep(invoke: Invoke, tmp_path: Path) -> None:
    code, stderr = invoke("sweep", "--split", "S", "--model", EMBEDDED_MODEL, "--out", "sweep",
                          "--set", "size=64,65")
    assert (code, "size 65x65" in stderr) == (2, True), stderr
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize("command", [
    ["generate", "x", "-o", "out/x.png"], ["run", "--split", "S", "--method", "dreambooth"],
    ["plan", "--split", "S"]])
def test_loras_that_do_not_fit(command: list[str], invoke: Invoke, tmp_path: Path) -> None:
    layer = LowRank(np.zeros((4, 1280), np.float32), np.zeros((1280, 4), np.float32), 4)
    path = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    write_lora(tmp_path / "large.safetensors", LoRAWeights({"unet": {path: layer}}))
    (tmp_path / "noise.safetensors").write_bytes(b"noise")
    for lora, said in (
        ("large.safetensors", f"large.safetensors is for another architecture than this model: "
                              f"unet.{path}: A [4, 1280] and B [1280, 4] are for"),
        ("noise.safetensors", "noise.safetensors"), ("none.safetensors", "none.safetensors"),
        ("none.safetensors:0.5", "none.safetensors"),
    ):
        code, stderr = invoke(*command, "--size", "64", "--model", EMBEDDED_MODEL, "--lora", lora)
        assert (code, said in stderr) == (2, True), stderr
        assert not list((tmp_path / "out").glob("*.png"))


@pytest.mark.parametrize(("words", "said"), [
    (["generate", "x", "-o", "x.png", "--steps", "1000"], "steps = 1000: must be between"),
    (["generate", "x", "-o", "x.png", "--size", "65"], "size 65x65"),
    (["transfer", "a.png", "a.png", "-o", "x.png", "--size", "64", "--steps", "1000"],
     "steps = 1000: must be between"),
    (["transfer", "a.png", "a.png", "-o", "x/", "--sweep", "size=64,65"], "size 65x65"),
    (["train", "--split", "S", "--size", "65"], "size 65x65"),
    (["run", "--split", "S", "--size", "64", "--dtype", "float16", "--device", "cpu"],
     "--dtype float16 needs --device cuda"),
    (["generate", "x", "-o", "x.png", "--dtype", "float16", "--device", "cpu"],
     "--dtype float16 needs --device cuda"),
    (["run", "--split", "S", "--size", "64", "--backend", "jdiffusion", "--device", "cpu",
      "--method", "styleid"], "--backend jdiffusion cannot run in this environment"),
])
def test_other_commands(words: list[str], said: str, invoke: Invoke, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    code, stderr = invoke(*words, "--model", EMBEDDED_MODEL)
    assert said in stderr
    assert code in (1, 2)


@pytest.fixture
def without_last_attentions(tmp_path: Path) -> Path:
    """The embedded model, whose UNet has no attention in the last level of its decoder."""
    model = tmp_path / "model"
    shutil.copytree(find_checkpoint(EMBEDDED_MODEL).path, model)
    config = model / "unet" / "config.json"
    values = json.loads(config.read_text())
    values["up_block_types"][-1] = "UpBlock2D"
    config.write_text(json.dumps(values))
    return model


@pytest.mark.parametrize("command", ["plan", "run"])
def test_layers_that_the_unet_lacks(
    command: str, without_last_attentions: Path, invoke: Invoke
) -> None:
    code, stderr = invoke(command, "--split", "S", "--model", str(without_last_attentions))
    assert code == 2
    assert "layers [9, 10, 11]: this checkpoint's UNet has only [3, 4, 5, 6, 7, 8]" in stderr
    code, stderr = invoke("plan", "--split", "S", "--model", str(without_last_attentions),
                          "--layers", "7-8")
    assert (code, stderr) == (0, "")


def test_layers_by_the_number_in_a_level(without_last_attentions: Path) -> None:
    unet = find_checkpoint(EMBEDDED_MODEL).architecture.unet
    check_layers(range(3, 12), unet)
    with pytest.raises(InputError, match=r"layers \[5, 8\]: this checkpoint's UNet has only \[3"):
        check_layers((4, 5, 8), unet.model_copy(update={"layers_per_block": 1}))


def test_a_checkpoint_that_is_not_here_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    source = CheckpointSource("owner/no-such-model")
    check_run(source, RunSettings.create(split="S", method="dreambooth", size=(65, 65)))
    assert size_multiple_of(source) == 64


@pytest.mark.parametrize("words", [
    ["run", "--size", "64"], ["train", "--size", "64"], ["train", "--size", "64", "--buckets"]])
def test_a_picture_that_is_too_narrow_to_be_cropped(
    words: list[str], data: Path, invoke: Invoke
) -> None:
    picture = data / "S" / "04" / "images" / "ball.png"
    Image.new("RGB", (1, 4_000_000)).save(picture)
    code, stderr = invoke(words[0], "--split", "S", "--model", EMBEDDED_MODEL, *words[1:],
                          "--device", "cpu")
    assert code == 2
    assert "S/04/images/ball.png: a picture of 1 x 4000000 pixels is too narrow for crops" in stderr
