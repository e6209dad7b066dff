"""LoRAs that diffusers and peft wrote give what diffusers and peft compute with them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from backend_choice import backend
from jittor_lora import ABOUT, trained, unet_only
from jstyleid_core import StableDiffusion
from jstyleid_core.runtime.jittor import jt
from jstyleid_dreambooth import LoRAs, LoRAWeights, read_lora, write_lora
from reference_sets import FRESH, GOLDEN_LORA, distance

LIMIT = 1e-5
FILES = {  # what stands in a set's folder: the file, and the values it belongs to
    "diffusers.safetensors": ("attention.unet", "attention.text"),
    "diffusers.bin": ("bin.unet", None),
    "peft": ("every.unet", None),
    "kohya.safetensors": ("every.unet", None),
}
SETS = {name: folder / "lora" for name, folder in FRESH.items() if (folder / "lora").is_dir()}
CASES = [("golden", "diffusers.safetensors"), *((name, file) for name in SETS for file in FILES)]


@pytest.fixture(scope="module")
def model(small_model: Any) -> Any:
    return small_model


@pytest.fixture(scope="module")
def inputs() -> dict[str, NDArray[Any]]:
    return load_file(GOLDEN_LORA / "values.safetensors")


@cache
def fresh_model(name: str) -> Any:
    return StableDiffusion.load(FRESH[name] / "checkpoint", dtype="float32", backend=backend())


def differences(model: Any, lora: LoRAWeights, folder: Path, name: str) -> list[float]:
    values = load_file(folder / "values.safetensors")
    loras = LoRAs.of(model)
    loras.add("x", lora)
    unet_key, text_key = FILES[name]
    with jt.no_grad():
        unet = model.networks.predict(jt.array(values["unet.sample"]), values["unet.timestep"],
                                      jt.array(values["unet.context"]))
        found = [distance(unet, values[unet_key])]
        if text_key:
            text = model.networks.embed(jt.array(values["text.ids"]))
            found.append(distance(text, values[text_key]))
    loras.detach()
    return found


@pytest.mark.parametrize(("name", "file"), CASES)
def test_answers_are_those_of_diffusers(name: str, file: str, model: Any) -> None:
    folder = SETS.get(name, GOLDEN_LORA)
    lora = read_lora(folder / file)
    if file == "diffusers.safetensors":
        assert (len(lora), lora.ranks()) == (128 + 12, [2, 3])
    found = differences(fresh_model(name) if name in SETS else model, lora, folder, file)
    assert max(found) <= LIMIT


def test_read_and_written_again_it_is_the_same(model: Any, tmp_path: Path) -> None:
    """Ranks and alphas that differ from layer to layer survive; so the next test may use them."""
    path = write_lora(tmp_path, read_lora(GOLDEN_LORA / "diffusers.safetensors"))
    again = differences(model, read_lora(path), GOLDEN_LORA, "diffusers.safetensors")
    assert max(again) <= LIMIT


def test_what_diffusers_was_shown_to_read_is_what_is_written(loras: Any, tmp_path: Path) -> None:
    """`reference/test_lora_reference.py` has diffusers load the committed files."""
    weights = trained(loras.layouts)
    write_lora(tmp_path / "jittor.safetensors", weights, ABOUT)
    write_lora(tmp_path / "jittor.bin", unet_only(weights))
    for name in ("jittor.safetensors", "jittor.bin"):
        assert (tmp_path / name).read_bytes() == (GOLDEN_LORA / name).read_bytes()


@pytest.mark.parametrize("name", ["jittor.safetensors", "jittor.bin"])
def test_what_is_written_reads_back_to_the_same_answers(
    name: str, loras: Any, unet_answer: Any, text_answer: Any
) -> None:
    expected = load_file(GOLDEN_LORA / "jittor-values.safetensors")
    loras.add("x", read_lora(GOLDEN_LORA / name))
    assert distance(unet_answer(), expected["unet"]) <= LIMIT
    if name.endswith("safetensors"):
        assert distance(text_answer(), expected["text"]) <= LIMIT
