"""What LoRAs compute on single layers, how they mix and merge, and that they leave no trace."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.runtime.jittor import jt, nn
from jstyleid_dreambooth import LoRAs, LoRAWeights, LowRank
from reference_sets import distance

ROUNDING = 1e-6


class Pair(nn.Module):
    """A linear layer and a convolution of stride 2, with weights that are known."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.linear, self.conv = nn.Linear(6, 5), nn.Conv2d(4, 3, 3, stride=2, padding=1)
        for layer in (self.linear, self.conv):
            layer.weight = jt.array(rng.standard_normal(layer.weight.shape).astype(np.float32))
            layer.bias = jt.array(rng.standard_normal(layer.bias.shape).astype(np.float32))


def random_lora(seed: int, rank: int, alpha: float) -> LoRAWeights:
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> NDArray[np.float32]:
        return rng.standard_normal(shape, dtype=np.float32)

    return LoRAWeights({"unet": {
        "linear": LowRank(normal(rank, 6), normal(5, rank), alpha),
        "conv": LowRank(normal(rank, 4, 3, 3), normal(3, rank, 1, 1), alpha),
    }})


TOKENS = np.random.default_rng(1).standard_normal((2, 7, 6), dtype=np.float32)
MAP = np.random.default_rng(2).standard_normal((1, 4, 8, 8), dtype=np.float32)


def outputs(pair: Pair) -> list[NDArray[Any]]:
    with jt.no_grad():
        return [pair.linear(jt.array(TOKENS)).numpy(), pair.conv(jt.array(MAP)).numpy()]


def with_added(pair: Pair, *added: tuple[LoRAWeights, float]) -> list[NDArray[Any]]:
    """What a pair answers whose weights are W + sum of weight * scale * B A, made by numpy."""
    other = Pair()
    for path in ("linear", "conv"):
        total = getattr(pair, path).weight.numpy().astype(np.float64)
        for lora, weight in added:
            layer = lora.layers["unet"][path]
            down, up = layer.down.reshape(layer.rank, -1), layer.up.reshape(-1, layer.rank)
            total += weight * layer.scale * (up.astype(np.float64) @ down).reshape(total.shape)
        getattr(other, path).weight = jt.array(total.astype(np.float32))
    return outputs(other)


def same(a: list[NDArray[Any]], b: list[NDArray[Any]]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def close(a: list[NDArray[Any]], b: list[NDArray[Any]]) -> bool:
    return max(distance(x, y) for x, y in zip(a, b, strict=True)) <= ROUNDING


def test_mixing_and_switching() -> None:
    pair = Pair()
    base, loras = outputs(pair), LoRAs({"unet": pair})
    one, two = random_lora(1, 2, 3.0), random_lora(2, 4, 4.0)
    loras.add("one", one)
    assert close(outputs(pair), with_added(pair, (one, 1)))
    loras.add("two", two, weight=-0.5)
    assert close(outputs(pair), with_added(pair, (one, 1), (two, -0.5)))
    loras.set_weight("one", 0.25)
    assert close(outputs(pair), with_added(pair, (one, 0.25), (two, -0.5)))
    loras.use({"two": 2.0})
    assert loras.mix == {"one": 0.0, "two": 2.0}
    assert close(outputs(pair), with_added(pair, (two, 2)))
    with loras.disabled():
        assert same(outputs(pair), base)
    assert close(outputs(pair), with_added(pair, (two, 2)))
    loras.disable()
    assert same(outputs(pair), base)
    loras.enable()
    loras.remove("two")
    assert same(outputs(pair), base)
    loras.use({"one": 1})
    assert close(outputs(pair), with_added(pair, (one, 1)))
    loras.add("one", two)  # takes the place of the other
    assert close(outputs(pair), with_added(pair, (two, 1)))
    loras.detach()
    assert same(outputs(pair), base)
    assert "execute" not in vars(pair.linear)


def test_merging_and_unmerging() -> None:
    pair = Pair()
    loras, weights = LoRAs({"unet": pair}), [pair.linear.weight, pair.conv.weight]
    before = [weight.numpy().tobytes() for weight in weights]
    one, two = random_lora(1, 2, 3.0), random_lora(2, 4, 4.0)
    loras.add("one", one)
    loras.add("two", two, weight=0.5)
    beside = outputs(pair)
    loras.merge()
    assert loras.merged
    assert "execute" not in vars(pair.linear)
    assert close(outputs(pair), beside)
    assert close(outputs(pair), with_added_to(weights, (one, 1), (two, 0.5)))
    loras.merge()  # once more is no more
    assert close(outputs(pair), beside)
    with loras.disabled():
        assert [x.numpy().tobytes() for x in (pair.linear.weight, pair.conv.weight)] == before
    assert loras.merged
    loras.unmerge()
    assert not loras.merged
    assert same(outputs(pair), beside)
    assert [x.numpy().tobytes() for x in (pair.linear.weight, pair.conv.weight)] == before
    assert pair.linear.weight is weights[0]


def with_added_to(weights: list[Any], *added: tuple[LoRAWeights, float]) -> list[NDArray[Any]]:
    pair = Pair()
    pair.linear.weight, pair.conv.weight = weights
    return with_added(pair, *added)


def test_a_changed_mix_leaves_the_merge() -> None:
    pair = Pair()
    base, loras, one = outputs(pair), LoRAs({"unet": pair}), random_lora(1, 2, 3.0)
    loras.add("one", one)
    loras.merge()
    loras.set_weight("one", 2)
    assert not loras.merged
    assert close(outputs(pair), with_added(pair, (one, 2)))
    loras.merge()
    loras.detach()
    assert same(outputs(pair), base)


def test_half_precision_base_and_float32_lora() -> None:
    """Half on the CPU sums in half, hence the wide limit; types are what CUDA would see."""
    pair = Pair()
    one = random_lora(1, 2, 3.0)
    expected = with_added(pair, (one, 1))
    pair.float16()
    bits = pair.linear.weight.numpy().tobytes()
    loras = LoRAs({"unet": pair})
    loras.add("one", one)

    def answer() -> list[Any]:
        with jt.no_grad():
            return [pair.linear(jt.array(TOKENS).float16()), pair.conv(jt.array(MAP).float16())]

    for _ in range(2):
        found = answer()
        assert [y.dtype for y in found] == ["float16", "float16"]
        assert max(distance(y.float32(), e) for y, e in zip(found, expected, strict=True)) < 5e-3
        loras.merge()
    assert pair.linear.weight.dtype == "float16"
    assert loras.weights("one").layers["unet"]["linear"].down.dtype == np.float32
    loras.unmerge()
    assert pair.linear.weight.numpy().tobytes() == bits
