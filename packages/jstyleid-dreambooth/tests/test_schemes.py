"""Files in the spellings of other programs give the updates that diffusers and peft make of them.

`reference/test_lora_reference.py` has these make the committed updates.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from converted_loras import write_set
from jstyleid_dreambooth import LowRank, read_lora
from jstyleid_dreambooth.lora.files.formats import write_as
from lora_schemes import RENAMED, SCHEMES
from reference_sets import GOLDEN_LORA, distance

LIMIT = 1e-6


def update(layer: LowRank) -> np.ndarray:
    product = layer.up.reshape(-1, layer.rank).astype(np.float64) @ layer.down.reshape(
        layer.rank, -1)
    return layer.scale * product.reshape(layer.up.shape[0], *layer.down.shape[1:])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_updates_are_those_of_diffusers_and_peft(scheme: str, tmp_path: Path) -> None:
    committed = load_file(GOLDEN_LORA / "schemes.safetensors")
    prefix = f"{RENAMED.get(scheme, scheme)}:"
    expected = {key.removeprefix(prefix): values for key, values in committed.items()
                if key.startswith(prefix)}
    read = {f"{part}.{path}": update(layer)
            for part, path, layer in read_lora(SCHEMES[scheme](tmp_path)).items()}
    assert read.keys() == expected.keys()
    assert max(distance(read[name], expected[name]) for name in read) <= LIMIT


@pytest.mark.parametrize("form", ["diffusers", "peft", "kohya"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_converted_a_lora_is_the_same_numbers(scheme: str, form: Any, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    lora = read_lora(SCHEMES[scheme](tmp_path / "source"))
    # An adapter of PEFT is for one network.
    parts = [[part] for part in lora.layers] if form == "peft" else [list(lora.layers)]
    for number, some in enumerate(parts):
        one = replace(lora, layers={part: lora.layers[part] for part in some})
        name = f"{number}" if form == "peft" else f"{number}.safetensors"
        again = read_lora(write_as(tmp_path / name, one, form))
        assert [each[:2] for each in again.items()] == [each[:2] for each in one.items()]
        for (_, _, found), (_, _, given) in zip(again.items(), one.items(), strict=True):
            assert found.alpha == given.alpha
            assert np.array_equal(found.down, given.down)
            assert np.array_equal(found.up, given.up)


def test_what_diffusers_and_peft_were_shown_to_read_is_what_is_written(tmp_path: Path) -> None:
    """`reference/test_lora_reference.py` has them load the committed files."""
    write_set(tmp_path / "converted")
    for committed in sorted((GOLDEN_LORA / "converted").rglob("*.*")):
        if committed.is_file():
            written = tmp_path / "converted" / committed.relative_to(GOLDEN_LORA / "converted")
            assert written.read_bytes() == committed.read_bytes()
