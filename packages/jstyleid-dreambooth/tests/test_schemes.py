"""Files in the spellings of other programs give the updates that diffusers and peft make of them.

`reference/test_lora_reference.py` has these make the committed updates.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from jstyleid_dreambooth import LowRank, read_lora
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
