"""Replayed evaluations follow the LoRAs: attached, weighted, merged and in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from jstyleid_core.runtime.jittor import jt
from jstyleid_dreambooth import LoRASettings


@pytest.fixture
def same_as_plainly(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], NDArray[np.float32]]:
    """Evaluates the UNet three times, plainly and replayed; the results, which are equal."""
    rng = np.random.default_rng(0)
    latents = [rng.standard_normal((1, 4, 8, 8), dtype=np.float32) for _ in range(3)]

    def evaluate() -> NDArray[np.float32]:
        network = model.network(model.empty_prompt)
        return np.stack([network(jt.array(x), 501).numpy() for x in latents])

    def compare() -> NDArray[np.float32]:
        found = evaluate()
        with monkeypatch.context() as patch:
            patch.setenv("JSTYLEID_REPLAY", "0")
            np.testing.assert_array_equal(found, evaluate())
        return found

    return compare


def test_loras(loras: Any, trained: Any, same_as_plainly: Any) -> None:
    base = same_as_plainly()
    loras.add("one", trained(0))
    one = same_as_plainly()
    loras.set_weight("one", 0.5)
    half = same_as_plainly()
    loras.merge()
    merged = same_as_plainly()
    with loras.disabled():
        np.testing.assert_array_equal(same_as_plainly(), base)
    np.testing.assert_array_equal(same_as_plainly(), merged)
    for a, b in ((base, one), (one, half)):
        assert np.abs(a - b).max() > 1e-3
    assert np.abs(half - merged).max() < 0.05


def test_training(model: Any, loras: Any, same_as_plainly: Any) -> None:
    loras.create("new", LoRASettings())
    before = same_as_plainly()
    trainables = loras.train("new")
    for up in trainables.up:
        up.update(up + 0.1)
    moved = same_as_plainly()
    assert np.abs(moved - before).max() > 1e-3
    for up in trainables.up:  # nothing says so while it is trained
        up.update(up + 0.1)
    assert np.abs(same_as_plainly() - moved).max() > 1e-3
    loras.stop_training()
    same_as_plainly()
