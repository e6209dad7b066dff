"""Merged LoRAs, held against sums and singular values of whole matrices."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from jstyleid_core.errors import CheckpointError
from jstyleid_dreambooth import LoRAWeights, LowRank, read_lora, write_lora
from jstyleid_dreambooth.lora.merging import merge_loras

CONV = "down_blocks.0.resnets.0.conv1"
random = np.random.default_rng(0)


def layer(out: int, inner: tuple[int, ...], rank: int, alpha: float) -> LowRank:
    ones = (1,) * (len(inner) - 1)
    return LowRank(random.standard_normal((rank, *inner)).astype(np.float32),
                   random.standard_normal((out, rank, *ones)).astype(np.float32), alpha)


ONE = LoRAWeights({"unet": {"proj_in": layer(20, (16,), 3, 6), CONV: layer(8, (8, 3, 3), 2, 1)}},
                  source="one")
TWO = LoRAWeights({"unet": {"proj_in": layer(20, (16, 1, 1), 4, 4)},
                   "text_encoder": {"q": layer(6, (6,), 4, 2)}}, source="two")


def update(found: LowRank) -> NDArray[np.float64]:
    up, down = (matrix.astype(np.float64) for matrix in (found.up, found.down))
    return found.scale * up.reshape(len(up), -1) @ down.reshape(found.rank, -1)


def test_ranks_add_up_and_the_sum_is_exact(tmp_path: Path) -> None:
    merged, error = merge_loras([(ONE, 0.7), (TWO, -0.5)])
    merged = read_lora(write_lora(tmp_path / "both.safetensors", merged))
    unet, text = merged.layers["unet"], merged.layers["text_encoder"]
    assert (unet["proj_in"].rank, unet[CONV].rank, text["q"].rank, error) == (7, 2, 4, 0)
    assert unet["proj_in"].down.shape == (7, 16, 1, 1)
    wanted = 0.7 * update(ONE.layers["unet"]["proj_in"]) - 0.5 * update(
        TWO.layers["unet"]["proj_in"])
    for found, expected in ((unet["proj_in"], wanted),
                            (unet[CONV], 0.7 * update(ONE.layers["unet"][CONV])),
                            (text["q"], -0.5 * update(TWO.layers["text_encoder"]["q"]))):
        np.testing.assert_allclose(update(found), expected, atol=2e-6)


def test_a_smaller_rank_is_the_nearest() -> None:
    whole, _ = merge_loras([(ONE, 1), (TWO, 1)])
    merged, error = merge_loras([(ONE, 1), (TWO, 1)], rank=3)
    assert merged.ranks() == [2, 3]
    lost = norm = 0.0
    for part, path, exact in whole.items():
        values = np.linalg.svd(update(exact), compute_uv=False)
        nearest = merged.layers[part][path]
        lost += (values[3:] ** 2).sum()
        norm += (values ** 2).sum()
        distance = np.linalg.norm(update(nearest) - update(exact))
        assert distance == pytest.approx(np.sqrt((values[3:] ** 2).sum()), rel=1e-5, abs=1e-5)
    assert error == pytest.approx(np.sqrt(lost / norm), rel=1e-6)


def test_a_rank_above_the_smaller_side_is_not_needed() -> None:
    three = [(TWO, 1.0)] * 3
    merged, error = merge_loras(three)
    found = merged.layers["text_encoder"]["q"]
    assert (found.rank, error) == (6, 0)
    np.testing.assert_allclose(update(found), 3 * update(TWO.layers["text_encoder"]["q"]),
                               atol=5e-5)


def test_what_does_not_go_together() -> None:
    other = LoRAWeights({"unet": {"proj_in": layer(20, (17,), 3, 6)}}, source="other")
    with pytest.raises(CheckpointError, match=r"one and other .*proj_in .*\[20, 16\].*\[20, 17\]"):
        merge_loras([(ONE, 1), (other, 1)])
    huge = LoRAWeights({"unet": {"a": LowRank(np.full((1, 2), 1e-30, np.float32),
                                              np.full((2, 1), 3e38, np.float32), 1)}})
    with pytest.raises(CheckpointError, match=r"unet\.a: the sum is beyond float32"):
        merge_loras([(huge, 100)])
