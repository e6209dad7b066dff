"""Which layers a new LoRA has, and its initial values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from jstyleid_core.errors import InputError
from jstyleid_dreambooth import LoRASettings, new_lora
from jstyleid_dreambooth.lora.initial import TEXT_ATTENTION, match_target_modules

LAYOUTS: Any = {"unet": {"a.to_q": (64, 48), "a.to_out.0": (64, 64), "b.conv1": (8, 64, 3, 3)}}


def test_default_targets_are_every_attention_projection_of_the_unet(model: Any, loras: Any) -> None:
    new = new_lora(loras.layouts, LoRASettings())
    expected = {f"{path}.{name}" for path in model.unet.attentions()
                for name in ("to_q", "to_k", "to_v", "to_out.0")}
    assert new.layers.keys() == {"unet"}
    assert new.layers["unet"].keys() == expected
    assert len(expected) == 128


def test_text_encoder_on_request(loras: Any) -> None:
    new = new_lora(loras.layouts, LoRASettings(targets=(), text_targets=TEXT_ATTENTION))
    assert list(new.layers) == ["text_encoder"]
    assert "text_model.encoder.layers.1.self_attn.out_proj" in new.layers["text_encoder"]
    assert len(new) == 2 * 4  # of each layer the projections


@pytest.mark.parametrize(("pattern", "chosen"), [
    ("to_q", ["x.attn1.to_q", "to_q"]),
    ("attn1.to_q", ["x.attn1.to_q"]),
    ("x.*", ["x.attn1.to_q", "x.not_to_q"]),
    ("*q", ["x.attn1.to_q", "x.not_to_q", "to_q"]),
])
def test_patterns(pattern: str, chosen: list[str]) -> None:
    assert match_target_modules(["x.attn1.to_q", "x.not_to_q", "to_q"], [pattern]) == chosen


def test_gaussian_down_and_zero_up() -> None:
    settings = LoRASettings(rank=8, targets=("to_q",))
    layer = new_lora({"unet": {"to_q": (64, 5000)}}, settings).layers["unet"]["to_q"]
    assert layer.down.shape == (8, 5000)
    assert layer.up.shape == (64, 8)
    assert layer.down.dtype == layer.up.dtype == np.float32
    assert abs(layer.down.mean()) < 0.01 / 8
    assert layer.down.std() == pytest.approx(1 / 8, rel=0.02)
    assert not layer.up.any()
    assert (layer.alpha, layer.scale) == (8, 1)


def test_same_seed_same_values_whatever_else_is_targeted() -> None:
    few = new_lora(LAYOUTS, LoRASettings(targets=("to_q",), seed=3))
    many = new_lora(LAYOUTS, LoRASettings(targets=("conv1", "to_q"), seed=3))
    other = new_lora(LAYOUTS, LoRASettings(targets=("to_q",), seed=4))
    first, again, different = (lora.layers["unet"]["a.to_q"].down for lora in (few, many, other))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, different)
    # These very numbers, on every machine.
    assert first[0, :3].tolist() == pytest.approx(
        [0.13875436782836914, 0.13012464344501495, -0.1882912814617157], abs=1e-7)


def test_convolutions() -> None:
    layer = new_lora(LAYOUTS, LoRASettings(targets=("conv1",), alpha=2)).layers["unet"]["b.conv1"]
    assert layer.down.shape == (4, 64, 3, 3)
    assert layer.up.shape == (8, 4, 1, 1)
    assert layer.scale == 0.5


def test_a_pattern_without_a_layer() -> None:
    with pytest.raises(InputError, match=r"LoRA target 'to_x' names no layer of the network\. .*"
                                         r"names such as a\.to_q, a\.to_out\.0, b\.conv1"):
        new_lora(LAYOUTS, LoRASettings(targets=("to_q", "to_x")))


def test_no_targets() -> None:
    with pytest.raises(InputError, match="a LoRA without targets"):
        new_lora(LAYOUTS, LoRASettings(targets=()))
    with pytest.raises(InputError, match="there is no text_encoder to adapt"):
        new_lora(LAYOUTS, LoRASettings(targets=("to_q",), text_targets=TEXT_ATTENTION))


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"alpha": 0}, {"dropout": 1}, {"ranks": 4}])
def test_impossible_settings(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        LoRASettings(**wrong)


def test_a_rank_larger_than_a_layer() -> None:
    """Of both sides of it; files of such a LoRA are refused, too."""
    new_lora(LAYOUTS, LoRASettings(rank=64, targets=("to_q",)))
    with pytest.raises(InputError, match=r"rank 65 is larger than the layer unet\.a\.to_q, "):
        new_lora(LAYOUTS, LoRASettings(rank=65, targets=("to_q",)))
