"""The CPU kernels against plain Jittor operators, against float64, and their memory."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import plain_kernels as plain
from jstyleid_core import kernels
from jstyleid_core.runtime.jittor import Var, jt
from reference_sets import distance

CLOSE = 2e-6


def normal(*shape: int, seed: int = 0) -> Var:
    return jt.array(np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32))


def compare(kernel: Callable[..., Var], reference: Callable[..., Var], *inputs: Var) -> None:
    """Outputs and the gradients of every input agree."""
    found, expected = kernel(*inputs), reference(*inputs)
    assert distance(found, expected) <= CLOSE
    weights = normal(*found.shape, seed=9)
    gradients = jt.grad((found * weights).sum(), list(inputs))
    wanted = jt.grad((expected * weights).sum(), list(inputs))
    for gradient, want in zip(gradients, wanted, strict=True):
        assert distance(gradient, want) <= CLOSE


@pytest.mark.parametrize("shape", [(1, 1280), (77, 300), (2, 150, 320)])
def test_linear(shape: tuple[int, ...]) -> None:
    compare(kernels.linear, plain.linear, normal(*shape), normal(270, shape[-1]), normal(270))
    compare(kernels.linear, lambda x, w: plain.linear(x, w, None),
            normal(*shape), normal(5, shape[-1]))


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "size"), [
    (3, (1, 1), (1, 1), (1, 1), (17, 20)),
    (3, (2, 2), (1, 1), (1, 1), (17, 20)),
    (3, (2, 2), (0, 0), (1, 1), (18, 21)),  # the VAE's, padded before
    (3, (1, 2), (2, 0), (2, 1), (11, 5)),
    (1, (1, 1), (0, 0), (1, 1), (33, 9)),
    (1, (2, 1), (0, 0), (1, 1), (8, 8)),
    (1, (1, 1), (1, 1), (1, 1), (4, 4)),
    (5, (3, 3), (4, 4), (1, 1), (6, 7)),
])
def test_convolution(
    kernel: int, stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int],
    size: tuple[int, int],
) -> None:
    """With more channels than a part of the sum and more outputs than a tile holds."""
    how = stride, padding, dilation
    x, weight, bias = normal(2, 70, *size), normal(140, 70, kernel, kernel), normal(140)
    compare(lambda x, w, b: kernels.conv2d(x, w, b, *how),
            lambda x, w, b: plain.conv2d(x, w, b, *how), x, weight, bias)
    compare(lambda x, w: kernels.conv2d(x, w, None, *how),
            lambda x, w: plain.conv2d(x, w, None, *how), x, weight)


@pytest.mark.parametrize(("function", "shapes"), [
    (kernels.linear, [(3, 4), (5, 6)]),
    (kernels.conv2d, [(1, 3, 8, 8), (4, 2, 3, 3)]),
    (kernels.conv2d, [(1, 3, 2, 8), (4, 3, 3, 3)]),
])
def test_products_refuse_shapes_that_do_not_fit(
    function: Callable[..., Var], shapes: list[tuple[int, ...]]
) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        function(*(normal(*shape) for shape in shapes))


@pytest.mark.parametrize("length", [1 << 16, 7])
def test_half_precision_is_widened_exactly(length: int) -> None:
    """Every number there is: by the processor's instruction, and by its rest, which has none."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    found = np.concatenate([kernels.widen(halves[i : i + length]).numpy()
                            for i in range(0, 1 << 16, length)])
    np.testing.assert_array_equal(found, halves.astype(np.float32))
    np.testing.assert_array_equal(np.signbit(found), np.signbit(halves))


@pytest.mark.parametrize(("batch", "shared", "tokens"), [(1, 1, 77), (2, 2, 77), (3, 1, 150)])
def test_attention(batch: int, shared: int, tokens: int) -> None:
    compare(lambda q, k, v: kernels.attention(q, k, v, 4),
            lambda q, k, v: plain.attention(q, k, v, 4, 8**-0.5),
            normal(batch, 100, 32), normal(shared, tokens, 32), normal(shared, tokens, 32, seed=1))


def test_attention_is_exact_for_large_scores() -> None:
    query, key, value = normal(1, 40, 16) * 30, normal(1, 60, 16), normal(1, 60, 16, seed=2)
    q, k, v = (x.numpy()[0].astype(np.float64) for x in (query, key, value))
    scores = q @ k.T / 4
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    exact = weights / weights.sum(axis=1, keepdims=True) @ v
    assert distance(kernels.attention(query, key, value, 1).numpy()[0], exact) <= 5e-6


def test_plain_attention_in_slabs_equals_attention_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inputs = normal(2, 100, 32), normal(2, 77, 32), normal(2, 77, 32, seed=1)
    at_once = plain.attention(*inputs, heads=4, scale=0.3).numpy()
    monkeypatch.setattr(plain, "SLAB_BYTES", 4 * 8 * 77 * 7)  # seven queries at a time
    assert distance(plain.attention(*inputs, heads=4, scale=0.3), at_once) <= 1e-6


@pytest.mark.parametrize("shared", [1, 2])
def test_attention_to_segments_in_one_softmax(shared: int) -> None:
    """Against float64, and merged from attentions to each segment."""
    query, own, own_value = (normal(2, 70, 32, seed=i) for i in range(3))
    style, style_value = normal(shared, 130, 32, seed=3), normal(shared, 130, 32, seed=4)
    segments, scales = [(own, own_value), (style, style_value)], [0.3, 0.5]
    out, lse = kernels.attention_with_lse(query, segments, 4, scales)

    def split(x: Var) -> Any:
        values = x.numpy().astype(np.float64).reshape(x.shape[0], -1, 4, 8)
        return np.broadcast_to(values.transpose(0, 2, 1, 3), (2, 4, x.shape[1], 8))

    scores = np.concatenate([split(query) @ split(key).swapaxes(2, 3) * scale
                             for (key, _), scale in zip(segments, scales, strict=True)], -1)
    exponentials = np.exp(scores)
    values = np.concatenate([split(value) for _, value in segments], 2)
    wanted = exponentials / exponentials.sum(-1, keepdims=True) @ values
    assert distance(out, wanted.transpose(0, 2, 1, 3).reshape(2, 70, 32)) <= CLOSE
    assert distance(lse, np.log(exponentials.sum(-1))) <= CLOSE
    parts = [kernels.attention_with_lse(query, [segment], 4, [scale])
             for segment, scale in zip(segments, scales, strict=True)]
    assert distance(kernels.merge_attentions(parts, 4), out) <= CLOSE


def test_attention_to_segments_has_no_gradient_and_says_so() -> None:
    query, key = normal(1, 4, 8), normal(1, 4, 8)
    out, _ = kernels.attention_with_lse(query, [(key, key), (key, key)], 1)
    with pytest.raises(Exception, match="several segments"):
        jt.grad(out.sum(), [query])
    for scales in ([], [0.1], [0.1, -1]):
        with pytest.raises(ValueError, match="give each a positive one"):
            kernels.attention_with_lse(query, [(key, key), (key, key)], 1, scales)


def test_attention_holds_a_bounded_slab_of_scores() -> None:
    """16,384 tokens of 4 heads would be 4.3 GB of scores; the peak must not see them."""
    query, key, value = (normal(1, 16384, 32, seed=s) for s in range(3))
    jt.sync([query, key, value])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kernels.attention(query, key, value, 4).sync()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 100 * 2**20


def test_attention_refuses_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="do not fit together"):
        kernels.attention(normal(2, 4, 32), normal(3, 4, 32), normal(3, 4, 32), 4)


@pytest.mark.parametrize("silu", [False, True])
@pytest.mark.parametrize("shape", [(1, 32, 5, 7), (2, 64, 8, 8)])
def test_group_norm(shape: tuple[int, ...], silu: bool) -> None:
    compare(lambda x, w, b: kernels.group_norm(x, w, b, 32, 1e-5, silu),
            lambda x, w, b: plain.group_norm(x, w, b, 32, 1e-5, silu),
            normal(*shape) + 2, normal(shape[1]), normal(shape[1], seed=1))


def test_layer_norm() -> None:
    compare(lambda x, w, b: kernels.layer_norm(x, w, b, 1e-5),
            lambda x, w, b: plain.layer_norm(x, w, b, 1e-5),
            normal(2, 33, 48) + 2, normal(48), normal(48, seed=1))


def test_gelu_gate() -> None:
    compare(kernels.gelu_gate, plain.gelu_gate, normal(2, 33, 48) * 2)


@pytest.mark.parametrize("function", ["group_norm", "layer_norm"])
@pytest.mark.parametrize("mean", [0.0, 30.0, 1000.0])
def test_norms_keep_their_digits_far_from_zero(function: str, mean: float) -> None:
    """Jittor's own norms are 7e-4 off at a mean of 30 deviations and useless at 1000."""
    x = np.random.default_rng(0).standard_normal((2, 64, 64)) + mean
    x = x.astype(np.float32)
    groups = x.astype(np.float64).reshape(2, 8, -1) if function == "group_norm" else x.astype(
        np.float64)
    centred = groups - groups.mean(axis=2, keepdims=True)
    exact = centred / np.sqrt((centred**2).mean(axis=2, keepdims=True) + 1e-5)
    ones, zeros = jt.ones((64,)), jt.zeros((64,))
    found: Any = (kernels.group_norm(jt.array(x), ones, zeros, 8, 1e-5) if function == "group_norm"
                  else kernels.layer_norm(jt.array(x), ones, zeros, 1e-5))
    # A mean of 1000 costs three of float32's seven digits before any norm sees the numbers.
    assert distance(found.numpy().reshape(exact.shape), exact) <= (1e-6 if mean < 1000 else 5e-5)


def test_gelu_gate_against_float64() -> None:
    from math import erf

    gate = np.linspace(-8, 8, 4001)
    exact = np.array([0.5 * g * (1 + erf(g / 2**0.5)) for g in gate])
    x = np.concatenate([np.ones_like(gate), gate]).astype(np.float32)[None]
    error = np.abs(kernels.gelu_gate(jt.array(x)).numpy()[0] - exact)
    assert (error <= 3e-7 * np.maximum(1, np.abs(gate))).all()
