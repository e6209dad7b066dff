"""Files that cannot be used: the message names the file, what is wrong, and the fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from jstyleid_core.errors import CheckpointError, OutputError
from jstyleid_dreambooth import LoRAWeights, LowRank, read_lora, write_lora
from reference_sets import GOLDEN_LORA

DOWN, UP = np.ones((2, 12), np.float32), np.ones((8, 2), np.float32)
LAYER = "mid_block.attentions.0.proj_in"


def refusal(path: Path, tensors: dict[str, Any] | None = None, **header: str) -> str:
    """The message, without the file it begins with."""
    if tensors is not None:
        save_file(tensors, path, header)
    with pytest.raises(CheckpointError) as caught:
        read_lora(path)
    message = str(caught.value)
    assert message.startswith(str(path.parent))
    return message.removeprefix(str(path)).lstrip(": ")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.safetensors"


def test_a_checkpoint_is_not_a_lora(file: Path) -> None:
    assert refusal(file, {"conv_in.weight": DOWN, "conv_out.weight": UP}) == (
        "holds no LoRA tensors; it holds 2 tensors such as conv_in.weight. "
        "Give the file that the LoRA training wrote.")
    empty = file.with_name("empty.safetensors")
    assert "it holds no tensors at all" in refusal(empty, {}, format="pt")


def test_an_unknown_spelling_shows_three_names(file: Path) -> None:
    names = [f"lora_unet_layer_{i}.lora_sideways.weight" for i in range(5)]
    assert refusal(file, dict.fromkeys(names, DOWN)) == (
        f"5 of 5 tensors have names that are not understood: {', '.join(names[:3])}. LoRA layers "
        "are read as diffusers, PEFT, kohya's scripts, OneTrainer and ComfyUI name them.")


def test_one_unknown_name_among_many(file: Path) -> None:
    tensors = {f"unet.{LAYER}.lora_A.weight": DOWN, f"unet.{LAYER}.lora_B.weight": UP,
               f"unet.{LAYER}.running_mean": UP}
    assert refusal(file, tensors).startswith(
        f"1 of 3 tensors have names that are not understood: unet.{LAYER}.running_mean.")


def test_a_and_b_disagree(file: Path) -> None:
    tensors = {f"unet.{LAYER}.lora.down.weight": DOWN,
               f"unet.{LAYER}.lora.up.weight": np.ones((8, 3), np.float32)}
    assert refusal(file, tensors) == (
        f"the rank of unet.{LAYER} is unclear: A (down) is [2, 12], rank first, and B (up) is "
        "[8, 3], rank second. Export the LoRA again.")


def test_half_a_layer(file: Path) -> None:
    assert refusal(file, {f"unet.{LAYER}.lora.down.weight": DOWN}) == (
        f"unet.{LAYER} is incomplete, of A (down) and B (up) there is only: down. "
        "Export the LoRA again.")


def test_numbers_that_are_not_finite(file: Path) -> None:
    tensors = {f"unet.{LAYER}.lora.down.weight": DOWN,
               f"unet.{LAYER}.lora.up.weight": UP * np.float32("nan")}
    assert refusal(file, tensors).startswith(f"unet.{LAYER} holds numbers that are not finite")


@pytest.mark.parametrize("alpha", ["nan", "inf"])
def test_an_alpha_that_is_not_finite(file: Path, alpha: str) -> None:
    tensors = {f"unet.{LAYER}.lora.down.weight": DOWN, f"unet.{LAYER}.lora.up.weight": UP,
               f"unet.{LAYER}.alpha": np.float32([alpha])}
    assert refusal(file, tensors).startswith(f"unet.{LAYER} has rank 2 and alpha {alpha}")


def test_a_rank_of_nothing(file: Path) -> None:
    tensors = {f"unet.{LAYER}.lora.down.weight": DOWN[:0],
               f"unet.{LAYER}.lora.up.weight": UP[:, :0]}
    assert refusal(file, tensors).startswith(f"unet.{LAYER} has rank 0")


@pytest.mark.parametrize("length", [0, 5, 100, 20_000, -1])
def test_truncated(length: int, file: Path) -> None:
    file.write_bytes((GOLDEN_LORA / "jittor.safetensors").read_bytes()[:length])
    message = refusal(file)
    assert message.startswith("is damaged or truncated (")
    assert message.endswith("Download it again.")


@pytest.mark.parametrize(("metadata", "message"), [
    ("{", "lora_adapter_metadata in its header is not valid JSON"),
    ("[]", "lora_adapter_metadata in its header is not a JSON object"),
    ('{"unet.lora_alpha": "much"}', "lora_adapter_metadata in its header cannot be used"),
    ('{"unet.alpha_pattern": {"(": 1}}', "lora_adapter_metadata in its header cannot be used"),
    ('{"unet.use_dora": true}', "lora_adapter_metadata in its header: use_dora is set; DoRA is"),
])
def test_settings_that_cannot_be_used(metadata: str, message: str, file: Path) -> None:
    tensors = {f"unet.{LAYER}.lora.down.weight": DOWN, f"unet.{LAYER}.lora.up.weight": UP}
    assert refusal(file, tensors, lora_adapter_metadata=metadata).startswith(message)


def test_nothing_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.safetensors") == (
        "does not exist. Give a LoRA file, or the folder it is in.")
    assert "holds no LoRA: none of pytorch_lora_weights.safetensors, " in refusal(tmp_path)
    (tmp_path / "x.zip").touch()
    assert refusal(tmp_path / "x.zip") == "a LoRA file ends in .safetensors or .bin, not in .zip."
    (tmp_path / "x.bin").write_bytes(b"\x80\x02}")
    assert refusal(tmp_path / "x.bin").startswith("is not a file that torch 1.6 or later saved")


def lora(layers: dict[str, LowRank]) -> LoRAWeights:
    return LoRAWeights({"unet": layers})


def test_writing(tmp_path: Path) -> None:
    """Header, round trip, and that an error leaves the old file."""
    weights = lora({LAYER: LowRank(DOWN, UP, 1.0), "a": LowRank(DOWN[:1], UP[:, :1], 3.0)})
    path = write_lora(tmp_path / "new" / "folder", weights,
                      {"base_model": "sd21", "prompt": "style_00", "steps": 500, "tags": ["x"]})
    assert path == tmp_path / "new" / "folder" / "pytorch_lora_weights.safetensors"
    again = read_lora(path)
    assert again.about == {"base_model": "sd21", "prompt": "style_00", "steps": "500",
                           "tags": '["x"]', "rank": "1, 2", "alpha": "1, 3"}
    assert [(p, layer.rank, layer.alpha) for _, p, layer in again.items()] == [
        (LAYER, 2, 1.0), ("a", 1, 3.0)]
    first = path.read_bytes()
    write_lora(path, again, {"steps": 500})
    assert path.read_bytes() == first
    with pytest.raises(ValueError, match="rank: the file's header says this itself"):
        write_lora(path, weights, {"rank": 4})
    with pytest.raises(ValueError, match="a LoRA without layers cannot be written"):
        write_lora(path, lora({}))
    assert path.read_bytes() == first
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_pickle_carries_the_scale_in_b(tmp_path: Path) -> None:
    path = write_lora(tmp_path / "x.bin", lora({LAYER: LowRank(DOWN, UP, 6.0)}))
    [(_, _, layer)] = read_lora(path).items()
    assert (layer.alpha, layer.scale) == (2, 1)
    assert np.array_equal(layer.up, 3 * UP)


def test_a_pickle_has_one_rank(tmp_path: Path) -> None:
    """diffusers would take the first layer's rank for the alpha of all."""
    kernel = np.ones((1, 4, 3, 3), np.float32)
    layers = {LAYER: LowRank(DOWN, UP, 2.0),
              "conv_in": LowRank(kernel, np.ones((5, 1, 1, 1), np.float32), 1.0)}
    again = read_lora(write_lora(tmp_path / "x.bin", lora(layers)))
    assert again.ranks() == [2]
    for path, layer in layers.items():
        found = again.layers["unet"][path]
        products = [x.up.reshape(-1, x.rank) @ x.down.reshape(x.rank, -1) for x in (found, layer)]
        assert np.array_equal(*products)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    weights = lora({LAYER: LowRank(DOWN, UP, 1.0)})
    with pytest.raises(OutputError, match=r"file is a file: give a folder, or a name ending in"):
        write_lora(tmp_path / "file", weights)
    with pytest.raises(OutputError, match=r"cannot write .*x\.bin"):
        write_lora(tmp_path / "file" / "x.bin", weights)
