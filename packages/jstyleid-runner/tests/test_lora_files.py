"""`jstyleid lora`: `info` and `merge`."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from jstyleid_runner.cli import app
from reference_sets import GOLDEN_LORA

ATTENTION = "down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["lora", "info", *map(str, arguments)])


def kohya(path: Path, metadata: dict[str, str]) -> Path:
    def layer(name: str, out: int, inner: tuple[int, ...], rank: int) -> dict[str, Any]:
        ones = (1,) * (len(inner) - 1)
        return {f"{name}.lora_down.weight": np.ones((rank, *inner), np.float16),
                f"{name}.lora_up.weight": np.ones((out, rank, *ones), np.float16),
                f"{name}.alpha": np.array(rank / 2, np.float16)}

    save_file({
        **layer(f"lora_unet_{ATTENTION}", 64, (1024,), 4),
        **layer("lora_unet_down_blocks_0_resnets_0_conv1", 8, (8, 3, 3), 2),
        **layer("lora_te_text_model_encoder_layers_0_self_attn_q_proj", 16, (16,), 4),
    }, path, metadata)
    return path


def test_a_file_of_kohya(tmp_path: Path) -> None:
    header = {"modelspec.title": "Ink\x1b[2J", "modelspec.trigger_phrase": "in ink",
              "ss_sd_model_name": "v2-1_768.safetensors"}
    file = kohya(tmp_path / "ink.safetensors", header)
    found = json.loads(call(file, "--json").stdout)
    assert found == {
        "file": str(file),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "spelling": "kohya",
        "layers": {"unet": 2, "text_encoder": 1},
        "convolutions": 1,
        "ranks": [2, 4],
        "alphas": [1, 2],
        "parameters": 4 * (64 + 1024) + 2 * (8 * 9 + 8) + 4 * 32,
        "version": "Stable Diffusion 2",
        "base": "v2-1_768.safetensors",
        "trigger": "in ink",
        "title": "Ink\x1b[2J",
        "metadata": header,
    }
    lines = call(file).stdout.splitlines()
    assert 'title      "Ink\\u001b[2J"' in lines
    assert "layers     1 of the text encoder, 2 of the unet; 1 of them convolutions" in lines
    assert "ss_sd_model_name v2-1_768.safetensors" in lines


def test_a_thumbnail_does_not_fill_the_screen(tmp_path: Path) -> None:
    header = {"modelspec.thumbnail": "data:image/jpeg;base64," + "A" * 4000}
    file = kohya(tmp_path / "ink.safetensors", header)
    [line] = [line for line in call(file).stdout.splitlines() if line.startswith("modelspec.")]
    assert line.startswith("modelspec.thumbnail data:image/jpeg")
    assert line.endswith("A... (4023 characters; --json shows all)")
    assert json.loads(call(file, "--json").stdout)["metadata"] == header


@pytest.mark.parametrize("name", ["jittor.safetensors", "jittor.bin", "diffusers.safetensors"])
def test_files_of_diffusers(name: str) -> None:
    found = json.loads(call(GOLDEN_LORA / name, "--json").stdout)
    assert (found["spelling"], found["version"]) == ("diffusers", None)
    assert found["trigger"] == ("style_00" if name == "jittor.safetensors" else None)


def test_a_file_that_is_refused_says_why(tmp_path: Path) -> None:
    file = tmp_path / "loha.safetensors"
    save_file({f"lora_unet_{ATTENTION}.hada_w1_a": np.ones((4, 4), np.float32)}, file)
    for options in ((), ("--json",)):
        result = call(file, *options)
        assert (result.exit_code, result.stdout) == (2, "")
        assert str(file) in result.stderr
        assert "LoHa" in result.stderr


def test_no_jittor_is_needed() -> None:
    code = ("import sys; sys.modules['jittor'] = None; from jstyleid_runner.cli import app; "
            f"app(['lora', 'info', {str(GOLDEN_LORA / 'jittor.safetensors')!r}])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "rank       2" in done.stdout


def test_merge(tmp_path: Path) -> None:
    one = GOLDEN_LORA / "jittor.safetensors"
    out = tmp_path / "both.safetensors"
    done = CliRunner().invoke(
        app, ["lora", "merge", f"{one}:0.7", str(one), "-o", str(out), "--rank", "2"])
    # Twice the same LoRA has no more rank than once.
    assert (done.exit_code, done.stdout) == (0, f"{out}\n"), done.stderr
    layers, error = done.stderr.split("relative error ")
    assert layers.endswith("15 layers of rank 2; ")
    assert float(error) < 1e-7
    metadata = json.loads(call(out, "--json").stdout)["metadata"]
    assert [part["weight"] for part in json.loads(metadata["merged"])] == [0.7, 1]
    assert (metadata["base_model"], metadata["ss_network_dim"]) == ("sd21-v", "2")
    refused = CliRunner().invoke(app, ["lora", "merge", str(one), "-o", "both.bin"])
    assert (refused.exit_code, "both.bin" in refused.stderr) == (2, True)


def convert(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["lora", "convert", *map(str, arguments)])


def test_convert(tmp_path: Path) -> None:
    one = GOLDEN_LORA / "jittor.safetensors"
    kohya_file, adapter, back = (tmp_path / name
                                 for name in ("k.safetensors", "p", "b.safetensors"))
    done = convert(one, "-o", kohya_file, "--to", "kohya")
    assert (done.exit_code, done.stdout) == (0, f"{kohya_file}\n"), done.stderr
    assert done.stderr.endswith("15 layers of rank 2\n")
    assert json.loads(call(kohya_file, "--json").stdout)["spelling"] == "kohya"
    refused = convert(kohya_file, "-o", adapter, "--to", "peft")
    assert (refused.exit_code, "Give --only unet or --only text_encoder" in refused.stderr) == (
        2, True)
    assert convert(kohya_file, "-o", adapter, "--to", "peft", "--only", "unet").exit_code == 0
    assert json.loads(call(adapter, "--json").stdout)["layers"] == {"unet": 13}
    # Back again it is what was written first.
    assert convert(kohya_file, "-o", back, "--to", "diffusers").exit_code == 0
    again, first = (json.loads(call(file, "--json").stdout) for file in (back, one))
    assert all(again[key] == first[key] for key in ("layers", "ranks", "alphas", "parameters"))
    assert again["metadata"].items() >= first["metadata"].items()


def test_what_convert_refuses(tmp_path: Path) -> None:
    one, out = GOLDEN_LORA / "jittor.bin", tmp_path / "full"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    for arguments, message in (
        ((one, "-o", "x.bin", "--to", "kohya"), "--out x.bin: must be a .safetensors file."),
        ((one, "-o", out, "--to", "peft"), "full: there already, and not an empty folder."),
        ((one, "-o", tmp_path / "x.safetensors", "--to", "kohya", "--only", "text_encoder"),
         "--only text_encoder: "),
        ((tmp_path / "no", "-o", tmp_path / "x.safetensors", "--to", "kohya"), "does not exist"),
    ):
        done = convert(*arguments)
        assert (done.exit_code, message in done.stderr) == (2, True), done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "notes.txt"]
