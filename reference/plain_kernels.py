"""The operators of `jstyleid_core.kernels` in plain Jittor, which the kernels are tested against.

Half-precision inputs are computed in float32 inside and rounded once at the end, so a statistic or
a softmax never loses digits to float16.
"""

from __future__ import annotations

from jstyleid_core.runtime.jittor import Var, jt, nn

SLAB_BYTES = 256 * 2**20  # upper bound of the attention scores held at a time, in float32


def linear(x: Var, weight: Var, bias: Var | None = None) -> Var:
    """Jittor's own matrix product; see `jstyleid_core.kernels.linear.linear`."""
    return nn.linear(x, weight, bias)


def conv2d(
    x: Var,
    weight: Var,
    bias: Var | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> Var:
    """Jittor's own convolution; see `jstyleid_core.kernels.convolution.conv2d`."""
    return nn.conv2d(x, weight, bias, stride, padding, dilation)


def attention(
    query: Var, key: Var, value: Var, heads: int, scale: float | None = None
) -> Var:
    """Attention in slabs of queries; see `jstyleid_core.kernels.attention.attention`."""
    batch, queries, width = query.shape
    scale = (width // heads) ** -0.5 if scale is None else scale
    shared, keys = key.shape[0], key.shape[1]

    def split(x: Var, groups: int) -> Var:
        # (B, N, C) -> (groups * heads, tokens, C / heads)
        x = x.reshape(groups, -1, heads, x.shape[-1] // heads).transpose(0, 2, 1, 3)
        return x.reshape(groups * heads, x.shape[2], x.shape[3])

    # One key and value for the whole batch: the batch becomes more queries of that one.
    rows = query.reshape(1, batch * queries, width) if shared == 1 else query
    # Scores in float32: the 768-v checkpoint's overflow float16.
    q, k = split(rows.float32() * scale, shared), split(key.float32(), shared)
    v = split(value, shared)
    total = q.shape[1]
    slab = max(1, min(total, SLAB_BYTES // (4 * q.shape[0] * keys)))
    parts = []
    for start in range(0, total, slab):
        scores = nn.bmm_transpose(q[:, start : start + slab], k)
        weights = nn.softmax(scores, dim=-1).cast(v.dtype)
        parts.append(nn.bmm(weights, v))
    out = parts[0] if len(parts) == 1 else jt.concat(parts, dim=1)
    out = out.reshape(shared, heads, total, value.shape[-1] // heads).transpose(0, 2, 1, 3)
    return out.reshape(batch, queries, value.shape[-1])


def group_norm(
    x: Var, weight: Var, bias: Var, groups: int, eps: float, silu: bool = False
) -> Var:
    """Two passes with two-stage sums: E[(x - mean)^2], never E[x^2] - mean^2."""
    batch, channels = x.shape[:2]
    grouped = x.float32().reshape(batch, groups, channels // groups, -1)
    mean = grouped.mean(dim=3).mean(dim=2).reshape(batch, groups, 1, 1)
    centred = grouped - mean
    variance = (centred * centred).mean(dim=3).mean(dim=2).reshape(batch, groups, 1, 1)
    normal = (centred / jt.sqrt(variance + eps)).reshape(batch, channels, -1)
    y = normal * weight.float32().reshape(1, -1, 1) + bias.float32().reshape(1, -1, 1)
    if silu:
        y = y * jt.sigmoid(y)
    return y.reshape(x.shape).cast(x.dtype)


def layer_norm(x: Var, weight: Var, bias: Var, eps: float) -> Var:
    """Two passes over the last axis."""
    wide = x.float32()
    centred = wide - wide.mean(dim=-1, keepdims=True)
    variance = (centred * centred).mean(dim=-1, keepdims=True)
    y = centred / jt.sqrt(variance + eps) * weight.float32() + bias.float32()
    return y.cast(x.dtype)


def gelu_gate(x: Var) -> Var:
    """The first half of the last axis times the exact GELU of the second."""
    half = x.shape[-1] // 2
    hidden, gate = x[..., :half].float32(), x[..., half:].float32()
    return (hidden * (0.5 * gate * (1 + jt.erf(gate * 2**-0.5)))).cast(x.dtype)
