"""The embedded model is found, is small, and draws what it is asked for.

`embedded_model/measure_model.py` measures it with diffusers, on more pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from classifier import recognised
from jstyleid_core.images import to_array
from jstyleid_core.synthetic.objects import KINDS
from jstyleid_core.synthetic.rendering import draw_plain
from jstyleid_core.synthetic.scene import random_scene
from jstyleid_core.weights.checkpoint import EMBEDDED_MODEL, find_checkpoint

SIZE = (128, 128)


def test_it_is_found_by_its_name_and_a_folder_of_that_name_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (find_checkpoint(EMBEDDED_MODEL).path / "model_index.json").is_file()
    (tmp_path / EMBEDDED_MODEL).mkdir()
    assert find_checkpoint(EMBEDDED_MODEL).path == Path(EMBEDDED_MODEL)


def test_it_is_half_precision_and_at_most_20_mb() -> None:
    folder = find_checkpoint(EMBEDDED_MODEL).path
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 20_000_000
    weights = [path for path in files if path.suffix == ".safetensors"]
    assert len(weights) == 3
    for path in weights:
        assert {tensor.dtype.name for tensor in load_file(path).values()} == {"float16"}


def test_what_it_draws_is_recognised(model: Any) -> None:
    """One picture of each kind; 85 % is what it has to reach."""
    kinds, pictures = list(KINDS), []
    for start in range(0, len(kinds), 17):
        some = [f"a picture of a {kind}" for kind in kinds[start : start + 17]]
        seeds = range(start, start + len(some))
        pictures += model.generate(some, seeds, steps=20, size=SIZE, guidance_scale=5)
    share = recognised(pictures, kinds)
    print(f"recognised: {share:.3f}")
    assert share >= 0.85


def test_the_autoencoder_keeps_drawings(model: Any) -> None:
    rng = np.random.default_rng(3)
    drawn = [draw_plain(random_scene(rng, kind), SIZE[0]) for kind in KINDS]
    decoded = [picture for start in range(0, len(drawn), 17)
               for picture in model.decode(model.encode(drawn[start : start + 17]))]
    errors = ((to_array(decoded) - to_array(drawn)) ** 2).mean((1, 2, 3))
    decibel = float((10 * np.log10(4 / errors)).mean())
    print(f"PSNR of the autoencoder: {decibel:.2f} dB")
    assert decibel >= 25
