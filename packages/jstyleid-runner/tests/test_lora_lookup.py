"""Which file `--lora DIR` means for each style."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from jstyleid_core.errors import InputError
from jstyleid_dreambooth import LoRAWeights, LowRank, write_lora
from jstyleid_runner.storage.records import lora_record
from jstyleid_runner.storage.split import Split, StyleFolder, find_loras
from jstyleid_runner.workflows.generate import read_loras

LAYER = LowRank(np.ones((1, 2), np.float32), np.ones((2, 1), np.float32), 1)
SPLIT = Split("B", tuple(StyleFolder(id, (Path("a.png"),), ("Ring",)) for id in ("00", "04")))


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str], Path]:
    """Write a LoRA below the folder."""

    def write(name: str) -> Path:
        return write_lora(tmp_path / name, LoRAWeights({"unet": {"conv_in": LAYER}}))

    return write


def problem(given: Path, split: Split = SPLIT) -> str:
    with pytest.raises(InputError) as caught:
        find_loras(given, split)
    return str(caught.value)


@pytest.mark.parametrize("names", [("00", "04"), ("style_00", "style_B_04"), ("style_B_00", "04")])
@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_folder_a_style(
    tmp_path: Path, put: Callable[[str], Path], names: tuple[str, str], suffix: str
) -> None:
    found = [put(f"{name}/pytorch_lora_weights.{suffix}") for name in names]
    assert find_loras(tmp_path, SPLIT) == dict(zip(("00", "04"), found, strict=True))


def test_a_pack_is_for_the_styles_it_lists(tmp_path: Path, put: Callable[[str], Path]) -> None:
    alone, pack = put("00"), put("pack-00-03-04")
    put("pack-10-40-004")
    assert find_loras(tmp_path, SPLIT) == {"00": alone, "04": pack}


def test_one_for_all(tmp_path: Path, put: Callable[[str], Path]) -> None:
    file = put("any.safetensors")
    assert find_loras(file, SPLIT) == {"00": file, "04": file}
    inside = put("all")
    assert find_loras(tmp_path / "all", SPLIT) == {"00": inside, "04": inside}
    own = put("all/04")
    assert find_loras(tmp_path / "all", SPLIT) == {"00": inside, "04": own}


@pytest.mark.parametrize("name", ["00.safetensors", "style_00.bin", "style_B_00.safetensors"])
def test_files_named_by_style(tmp_path: Path, put: Callable[[str], Path], name: str) -> None:
    found = {"00": put(name), "04": put("04.safetensors")}
    assert find_loras(tmp_path, SPLIT) == found


@pytest.mark.parametrize("name", [
    "4.safetensors", "004.bin", "style_4", "style_B_004", "4/any.safetensors", "style_B_4.bin",
])
def test_leading_zeros_are_nothing(
    tmp_path: Path, put: Callable[[str], Path], name: str
) -> None:
    """As for `--styles`."""
    found = {"00": put("0.safetensors"), "04": put(name)}
    assert find_loras(tmp_path, SPLIT) == found
    # The name of another style of the split, which is not chosen.
    other = name.removesuffix(".safetensors").removesuffix(".bin").split("/")[0].split("_")[-1]
    with pytest.raises(InputError, match="no LoRA for style 04"):
        find_loras(tmp_path, SPLIT, ["00", "04", other])


@pytest.mark.parametrize(("one", "two"), [
    ("04.safetensors", "4.safetensors"), ("004", "04"), ("4", "style_B_04.bin"),
])
def test_two_names_of_one_style(
    tmp_path: Path, put: Callable[[str], Path], one: str, two: str
) -> None:
    put("00")
    found = f"{put(one)} and {put(two)}"
    assert f"style 04 has more than one LoRA: {found}. Keep one." in problem(tmp_path)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_letters_in_either_composition(
    tmp_path: Path, put: Callable[[str], Path], form: Literal["NFC", "NFD"]
) -> None:
    others = {"NFC": "NFD", "NFD": "NFC"}[form]
    style = unicodedata.normalize(form, "Café")
    split = Split(style, (StyleFolder(style, (Path("a.png"),), ("Ring",)),))
    there = unicodedata.normalize(others, "Café")  # type: ignore[arg-type]
    for name in (f"{there}.safetensors", f"style_{there}_{there}.bin", f"pack-00-{there}"):
        file = put(name)
        assert find_loras(tmp_path, split) == {style: file}
        file.unlink()


@pytest.mark.parametrize("file", [
    "adapter_model.safetensors", "adapter_model.bin", "cat_v2-000010.safetensors", "any.bin",
    "default/adapter_model.safetensors",
])
def test_other_programs_names_in_a_folder_a_style(
    tmp_path: Path, put: Callable[[str], Path], file: str
) -> None:
    found = {"00": put(f"00/{file}"), "04": put(f"style_04/{file}")}
    (tmp_path / "00" / "adapter_config.json").write_text('{"lora_alpha": 1}')
    (tmp_path / "00" / "preview.png").touch()
    assert find_loras(tmp_path, SPLIT) == found


def test_the_files_of_a_folder_in_order(tmp_path: Path, put: Callable[[str], Path]) -> None:
    put("00/other.safetensors")
    files = [put(f"00/{name}") for name in (
        "adapter_model.bin", "adapter_model.safetensors", "pytorch_lora_weights.bin",
        "pytorch_lora_weights.safetensors")]
    put("04")
    while files:
        assert find_loras(tmp_path, SPLIT)["00"] == files[-1]
        files.pop().unlink()


def test_several_files_in_a_style(tmp_path: Path, put: Callable[[str], Path]) -> None:
    put("04")
    for names in (("a.safetensors", "b.bin"), ("unet/adapter_model.bin", "text/adapter_model.bin")):
        files = sorted(put(f"00/{name}") for name in names)
        listed = ", ".join(str(file.relative_to(tmp_path / "00")) for file in files)
        assert f"{tmp_path / '00'} holds several LoRAs: {listed}." in problem(tmp_path)
        for file in files:
            file.unlink()


@pytest.mark.parametrize("name", ["00.safetensors", "00", "00/adapter_model.safetensors"])
def test_the_only_file_of_one_style_is_not_for_all(
    tmp_path: Path, put: Callable[[str], Path], name: str
) -> None:
    put(name)
    assert f"--lora {tmp_path}: no LoRA for style 04. Looked for " in problem(tmp_path)


def test_settings_beside_a_lora_are_part_of_its_record(
    tmp_path: Path, put: Callable[[str], Path]
) -> None:
    """They hold the alpha: with other settings the pictures are others."""
    file = put("adapter_model.safetensors")
    alone = lora_record(file)
    assert alone.keys() == {"name", "sha256"}
    records = [alone]
    for alpha in (1, 2):
        (tmp_path / "adapter_config.json").write_text(f'{{"lora_alpha": {alpha}}}')
        records.append(lora_record(file))
        assert records[-1] | alone == records[-1]
    assert records[1]["settings"] != records[2]["settings"]


def test_an_unfinished_training_is_none(tmp_path: Path, put: Callable[[str], Path]) -> None:
    (tmp_path / "04" / "checkpoints").mkdir(parents=True)
    put("00")
    message = problem(tmp_path)
    assert message.startswith(f"--lora {tmp_path}: no LoRA for style 04. Looked for ")
    for place in ("04/", "style_04/", "style_B_04/", "pack-..."):
        assert f"{tmp_path}/{place}" in message


def test_none_at_all(tmp_path: Path) -> None:
    assert problem(tmp_path / "none").startswith(f"--lora {tmp_path / 'none'}: no such folder")


@pytest.mark.parametrize(("one", "two"), [("04", "style_04"), ("pack-00-04", "pack-04-07")])
def test_more_than_one(tmp_path: Path, put: Callable[[str], Path], one: str, two: str) -> None:
    put("00")
    found = f"{put(one)} and {put(two)}"
    assert problem(tmp_path).startswith(f"--lora {tmp_path}: style 04 has more than one LoRA: ")
    assert found in problem(tmp_path)


def test_names_too_long_and_folders_of_folders(tmp_path: Path) -> None:
    assert "no such folder or file" in problem(tmp_path / ("x" * 300))
    (tmp_path / "00" / "00" / "00").mkdir(parents=True)
    assert "no LoRA for style 00" in problem(tmp_path)


@pytest.mark.parametrize(("text", "weight"), [
    ("0.8", 0.8), ("1e-1", 0.1), ("-2", -2.0), ("+.5", 0.5), ("1.", 1.0), ("100", 100.0),
])
def test_weights(put: Callable[[str], Path], text: str, weight: float) -> None:
    [found] = read_loras([f"{put('a.safetensors')}:{text}"])
    assert found.weight == weight


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "9" * 50, "9" * 300, "101", "1e400"])
def test_weights_beyond_sense(put: Callable[[str], Path], text: str) -> None:
    name = f"{put('a.safetensors')}:{text}"
    with pytest.raises(InputError) as caught:
        read_loras([name], "--lora")
    assert str(caught.value).startswith(f"--lora {name}: a weight is between -100 and 100, not ")


def test_a_file_with_a_colon_in_its_name(tmp_path: Path, put: Callable[[str], Path]) -> None:
    file = put("a:2").parent.rename(tmp_path / "b:3")
    [found] = read_loras([str(file)])
    assert found.weight == 1
    for name in (f"{tmp_path}/x:y", ":1", "1"):
        with pytest.raises(InputError, match="does not exist"):
            read_loras([name], "--lora")


def test_a_damaged_one_is_named(tmp_path: Path, put: Callable[[str], Path]) -> None:
    put("00")
    damaged = put("04")
    damaged.write_bytes(damaged.read_bytes()[:40])
    assert str(damaged) in problem(tmp_path)


@pytest.mark.skipif("JSTYLEID_SPLIT_DATA" not in os.environ, reason="JSTYLEID_SPLIT_DATA not set")
def test_the_real_one() -> None:
    folder = Path(os.environ["JSTYLEID_SPLIT_DATA"]) / "lora"
    only = Split("B", SPLIT.styles[:1])
    file = folder / "style_B_00" / "pytorch_lora_weights.bin"
    assert find_loras(folder, only) == {"00": file}
    assert find_loras(file.parent, SPLIT) == {"00": file, "04": file}
