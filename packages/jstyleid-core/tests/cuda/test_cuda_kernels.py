"""The CUDA kernels against float64, on a card or in the emulator.

Limits are of the relative error in the norm: 1e-5 for float32, 1e-3 for float16, and 8e-3 for
bfloat16, which has three bits less.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from jstyleid_core import kernels
from jstyleid_core.kernels.attention import attention_with_lse
from jstyleid_core.runtime.jittor import Var, jt

LIMITS = {"float32": 1e-5, "float16": 1e-3, "bfloat16": 8e-3}
HEAD_SIZES = (8, 16, 32, 40, 64, 80, 128, 160, 512)


def numbers(rng: np.random.Generator, *shape: int) -> Any:
    return rng.standard_normal(shape).astype(np.float32)


def var(values: Any, dtype: str) -> tuple[Var, Any]:
    """A Var of this type, and its numbers in float64."""
    made = jt.array(values).cast(dtype)
    return made, made.float32().numpy().astype(np.float64)


def error(got: Var, want: Any) -> float:
    found = got.float32().numpy().astype(np.float64)
    assert np.isfinite(found).all()
    return float(np.linalg.norm(found - want) / np.linalg.norm(want))


def attend(q: Any, segments: list[tuple[Any, Any]], heads: int, scales: list[float]) -> Any:
    """Attention in float64: output, log-sum-exp, and the weights of each segment."""
    def split(x: Any) -> Any:
        return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    scores = [split(q) @ split(k).transpose(0, 1, 3, 2) * s
              for (k, _), s in zip(segments, scales, strict=True)]
    scores = np.concatenate(scores, axis=-1)
    top = scores.max(-1, keepdims=True)
    weights = np.exp(scores - top)
    total = weights.sum(-1, keepdims=True)
    batch = q.shape[0]
    v = np.concatenate([np.broadcast_to(split(v), (batch, *split(v).shape[1:]))
                        for _, v in segments], axis=2)
    out = (weights / total @ v).transpose(0, 2, 1, 3).reshape(q.shape)
    return out, (top + np.log(total))[..., 0], weights / total


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("size", HEAD_SIZES)
def test_attention(size: int, dtype: str) -> None:
    rng = np.random.default_rng(size)
    for batch, queries, keys, heads, shared in ((2, 70, 77, 2, False), (2, 64, 130, 1, True)):
        q, q64 = var(numbers(rng, batch, queries, heads * size), dtype)
        k, k64 = var(numbers(rng, 1 if shared else batch, keys, heads * size), dtype)
        v, v64 = var(numbers(rng, *k.shape), dtype)
        want, lse, _ = attend(q64, [(k64, v64)], heads, [size**-0.5])
        out, got_lse = attention_with_lse(q, [(k, v)], heads)
        assert error(out, want) < LIMITS[dtype]
        assert error(got_lse, lse) < 1e-5


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_attention_to_two_segments(dtype: str) -> None:
    rng = np.random.default_rng(1)
    q, q64 = var(numbers(rng, 2, 65, 128), dtype)
    k, k64 = var(numbers(rng, 2, 50, 128), dtype)
    v, v64 = var(numbers(rng, 2, 50, 128), dtype)
    style_k, style_k64 = var(numbers(rng, 1, 100, 128), dtype)
    style_v, style_v64 = var(numbers(rng, 1, 100, 128), dtype)
    scales = [0.125, 0.2]
    want, lse, _ = attend(q64, [(k64, v64), (style_k64, style_v64)], 2, scales)
    out, got = attention_with_lse(q, [(k, v), (style_k, style_v)], 2, scales)
    assert error(out, want) < LIMITS[dtype]
    assert error(got, lse) < 1e-5


def test_scores_beyond_float16() -> None:
    rng = np.random.default_rng(2)
    q, q64 = var(60 * numbers(rng, 1, 64, 64), "float16")
    k, k64 = var(60 * numbers(rng, 1, 64, 64), "float16")
    v, v64 = var(numbers(rng, 1, 64, 64), "float16")
    assert np.abs(q64[0] @ k64[0].T).max() > 65504
    want, _, _ = attend(q64, [(k64, v64)], 1, [0.125])
    assert error(kernels.attention(q, k, v, 1), want) < 1e-3


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("size", [40, 64, 160])
def test_gradient_of_attention(size: int, dtype: str) -> None:
    rng = np.random.default_rng(size)
    for batch, queries, keys, heads, shared in ((2, 70, 77, 2, False), (2, 40, 65, 1, True)):
        q, q64 = var(numbers(rng, batch, queries, heads * size), dtype)
        k, k64 = var(numbers(rng, 1 if shared else batch, keys, heads * size), dtype)
        v, v64 = var(numbers(rng, *k.shape), dtype)
        g, g64 = var(numbers(rng, *q.shape), dtype)
        out = kernels.attention(q, k, v, heads)
        got = jt.grad((out.float32() * g.float32()).sum(), [q, k, v])
        scale = size**-0.5
        _, _, p = attend(q64, [(k64, v64)], heads, [scale])

        def split(x: Any, heads: int = heads) -> Any:
            return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)

        def join(x: Any) -> Any:
            return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)

        dp = split(g64) @ split(v64).transpose(0, 1, 3, 2)
        ds = p * (dp - (dp * p).sum(-1, keepdims=True)) * scale
        want = [join(ds @ split(k64)), join(ds.transpose(0, 1, 3, 2) @ split(q64)),
                join(p.transpose(0, 1, 3, 2) @ split(g64))]
        for one, exact in zip(got, want, strict=True):
            if one.shape[0] != exact.shape[0]:
                exact = exact.sum(0, keepdims=True)
            assert error(one, exact) < 2 * LIMITS[dtype]


def normalized(x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any]:
    rstd = 1 / np.sqrt(x.var(axes, keepdims=True) + eps)
    return (x - x.mean(axes, keepdims=True)) * rstd, rstd


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("silu", [False, True])
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("shape", [(2, 64, 8, 8), (1, 32, 5, 7), (2, 320, 16, 16)])
def test_group_norm(shape: tuple[int, ...], dtype: str, silu: bool) -> None:
    rng = np.random.default_rng(0)
    batch, channels = shape[:2]
    # A mean of 30 deviations: E[x^2] - E[x]^2 would have no digits left.
    x, x64 = var(numbers(rng, *shape) + 30, dtype)
    w, w64 = var(numbers(rng, channels), dtype)
    b, b64 = var(numbers(rng, channels), dtype)
    g, g64 = var(numbers(rng, *shape), dtype)
    y = kernels.group_norm(x, w, b, 32, 1e-5, silu)
    dx, dw, db = jt.grad((y.float32() * g.float32()).sum(), [x, w, b])

    xhat, rstd = normalized(x64.reshape(batch, 32, -1), (2,), 1e-5)
    xhat = xhat.reshape(shape)
    weight, bias = w64.reshape(1, -1, 1, 1), b64.reshape(1, -1, 1, 1)
    z = weight * xhat + bias
    assert error(y, z * sigmoid(z) if silu else z) < LIMITS[dtype]
    grad = g64 * (sigmoid(z) * (1 + z * (1 - sigmoid(z))) if silu else 1)
    grouped = [each.reshape(batch, 32, -1) for each in (weight * grad, xhat)]
    mean_g = grouped[0].mean(2, keepdims=True)
    mean_gx = (grouped[0] * grouped[1]).mean(2, keepdims=True)
    want = (rstd * (grouped[0] - mean_g - grouped[1] * mean_gx)).reshape(shape)
    assert error(dx, want) < 4 * LIMITS[dtype]
    assert error(dw, (grad * xhat).sum((0, 2, 3))) < 4 * LIMITS[dtype]
    assert error(db, grad.sum((0, 2, 3))) < 4 * LIMITS[dtype]


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("shape", [(2, 77, 64), (3, 5, 321)])
def test_layer_norm(shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, x64 = var(numbers(rng, *shape) + 30, dtype)
    w, w64 = var(numbers(rng, shape[-1]), dtype)
    b, b64 = var(numbers(rng, shape[-1]), dtype)
    g, g64 = var(numbers(rng, *shape), dtype)
    y = kernels.layer_norm(x, w, b, 1e-5)
    dx, dw, db = jt.grad((y.float32() * g.float32()).sum(), [x, w, b])
    xhat, rstd = normalized(x64, (2,), 1e-5)
    assert error(y, w64 * xhat + b64) < LIMITS[dtype]
    wg = w64 * g64
    want = rstd * (wg - wg.mean(-1, keepdims=True) - xhat * (wg * xhat).mean(-1, keepdims=True))
    assert error(dx, want) < 4 * LIMITS[dtype]
    assert error(dw, (g64 * xhat).sum((0, 1))) < 4 * LIMITS[dtype]
    assert error(db, g64.sum((0, 1))) < 4 * LIMITS[dtype]


@pytest.mark.parametrize("dtype", LIMITS)
def test_gelu_gate(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, x64 = var(3 * numbers(rng, 2, 9, 50), dtype)
    g, g64 = var(numbers(rng, 2, 9, 25), dtype)
    y = kernels.gelu_gate(x)
    dx = jt.grad((y.float32() * g.float32()).sum(), [x])[0]
    hidden, gate = x64[..., :25], x64[..., 25:]
    cdf = 0.5 * (1 + np.vectorize(math.erf)(gate / math.sqrt(2)))
    density = np.exp(-0.5 * gate**2) / math.sqrt(2 * math.pi)
    assert error(y, hidden * gate * cdf) < LIMITS[dtype]
    want = np.concatenate([g64 * gate * cdf, g64 * hidden * (cdf + gate * density)], axis=-1)
    assert error(dx, want) < LIMITS[dtype]


@pytest.mark.parametrize("dtype", LIMITS)
def test_tokens_and_maps(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, x64 = var(numbers(rng, 2, 40, 7, 9), dtype)
    tokens = kernels.to_tokens(x)
    assert (tokens.float32().numpy() == x64.reshape(2, 40, 63).transpose(0, 2, 1)).all()
    assert (kernels.to_map(tokens, 7, 9).float32().numpy() == x64).all()


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("channels", [(8, 16), (3, 5)])  # in pieces of 16 bytes and one by one
def test_feature_maps_side_by_side(dtype: str, channels: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    (x, x64), (y, y64) = (var(numbers(rng, 2, c, 7, 9), dtype) for c in channels)
    joined = kernels.join_channels(x, y)
    assert (joined.float32().numpy() == np.concatenate([x64, y64], axis=1)).all()
    weights, w64 = var(numbers(rng, 2, sum(channels), 7, 9), dtype)
    dx, dy = jt.grad((joined.float32() * weights.float32()).sum(), [x, y])
    assert (dx.float32().numpy() == w64[:, :channels[0]]).all()
    assert (dy.float32().numpy() == w64[:, channels[0]:]).all()


def convolve(x: Any, w: Any, stride: int, padding: int) -> Any:
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], axis=(2, 3))
    return np.einsum("bchwij,ocij->bohw", windows[:, :, ::stride, ::stride], w, optimize=True)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (1, 1, 0)])
def test_convolution(kernel: int, stride: int, padding: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, x64 = var(numbers(rng, 2, 32, 16, 16), dtype)
    w, w64 = var(numbers(rng, 24, 32, kernel, kernel), dtype)
    b, b64 = var(numbers(rng, 24), dtype)
    y = kernels.conv2d(x, w, b, (stride, stride), (padding, padding))
    want = convolve(x64, w64, stride, padding) + b64.reshape(1, -1, 1, 1)
    assert error(y, want) < LIMITS[dtype]
    # The convolution is linear in both: <g, conv(dx, w)> is the derivative in the direction dx.
    g, g64 = var(numbers(rng, *y.shape), dtype)
    got = jt.grad((y.float32() * g.float32()).sum(), [x, w])
    for one, exact in zip(got, (x64, w64), strict=True):
        direction = one.float32().numpy().astype(np.float64) + rng.standard_normal(exact.shape)
        derivative = (convolve(direction, w64, stride, padding) if exact is x64
                      else convolve(x64, direction, stride, padding))
        expected = (g64 * derivative).sum()
        found = (one.float32().numpy().astype(np.float64) * direction).sum()
        assert abs(found / expected - 1) < 3 * LIMITS[dtype]
