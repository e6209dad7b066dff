"""Exact attention that never holds more than a small slab of scores.

The CPU kernel walks over blocks of query rows: one matrix product for the scores of the block, the
softmax in place, one product with the values. Keys and values of a head are laid out for these
products once for many blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jstyleid_core.kernels.code import cpu_kernel, cuda_kernel, runs_on_cpu
from jstyleid_core.kernels.layout import swap
from jstyleid_core.runtime.jittor import Var, jt

# `@segments` is a list of the segments of keys; one with a batch of 1 serves all pictures.
_SIZES = """
    struct Segment {
        const float *key, *value;
        int64 batch, tokens;
        float scale;
        int64 batch_of(int64 b) const { return batch == 1 ? 0 : b; }
        int64 in_panels() const { return product::rounded_up(tokens, product::PANEL); }
    };
    const Segment segments[] = {@segments};
    const int64 B = in0_shape0, N = in0_shape1, C = in0_shape2, CV = in2_shape2;
    const int64 H = (int64)data["heads"], D = C / H, DV = CV / H;
    int64 M = 0, room = 0;
    for (const Segment& segment : segments) {
        M += segment.tokens;
        room += segment.in_panels();
    }
    // About half a megabyte of scores: they stay in the second-level cache.
    const int64 rows = std::max<int64>(8, std::min<int64>(64, 131072 / M));
    const int threads = threads_for(2. * B * N * M * (C + CV));
    const float* q = in0_p;
"""

_SEGMENT = ("{{in{key}_p, in{value}_p, in{key}_shape0, in{key}_shape1, "
            '(float)data["scale{number}"]}}')

# The softmax of n queries is `weights` times `inverse[i]`; `lse` takes the logarithm of each
# query's sum of exponentials, and may be null.
_SCORES = """
    auto pack_keys = [&](int64 b, int64 h, float* keys) {
        for (const Segment& segment : segments) {
            const float* key = segment.key + segment.batch_of(b) * segment.tokens * C + h * D;
            const int64 size = D * segment.in_panels();
            product::pack(key, C, true, D, segment.tokens, keys);
            for (int64 i = 0; i < size; i++) keys[i] *= segment.scale;
            keys += size;
        }
    };
    auto weigh = [&](const float* query, int64 n, const float* keys, float* weights,
                     float* inverse, float* lse) {
        int64 at = 0;
        for (const Segment& segment : segments) {
            product::multiply(n, segment.tokens, D, query, C, 1, keys, false, weights + at, M);
            keys += D * segment.in_panels();
            at += segment.tokens;
        }
        for (int64 i = 0; i < n; i++) {
            float* row = weights + i * M;
            float top = row[0];
            for (int64 j = 1; j < M; j++) top = std::max(top, row[j]);
            float sum = 0;
            for (int64 j = 0; j < M; j++) { row[j] = std::exp(row[j] - top); sum += row[j]; }
            inverse[i] = 1.f / sum;
            if (lse) lse[i] = top + std::log(sum);
        }
    };
"""

_FORWARD = _SIZES + _SCORES + """
    // Blocks that share what is laid out for a head.
    const int64 most = 512 / rows * rows, groups = blocks_of(N, most);
    const int64 width = product::rounded_up(DV, product::PANEL);
    #pragma omp parallel num_threads(threads)
    {
        std::vector<float> weights(rows * M), inverse(rows), keys(D * room), values(width * M);
        #pragma omp for schedule(dynamic)
        for (int64 task = 0; task < B * H * groups; task++) {
            const int64 b = task / (H * groups), h = task / groups % H;
            const int64 begin = task % groups * most, end = std::min(N, begin + most);
            pack_keys(b, h, keys.data());
            float* to = values.data();
            for (const Segment& segment : segments) {
                const float* value = segment.value + segment.batch_of(b) * segment.tokens * CV;
                product::pack(value + h * DV, CV, false, segment.tokens, DV, to);
                to += segment.tokens * width;
            }
            for (int64 first = begin; first < end; first += rows) {
                const int64 n = std::min(rows, end - first);
                float* out = out0_p + (b * N + first) * CV + h * DV;
                weigh(q + (b * N + first) * C + h * D, n, keys.data(), weights.data(),
                      inverse.data(), out1_p + (b * H + h) * N + first);
                int64 at = 0;
                for (const Segment& segment : segments) {
                    product::multiply(n, DV, segment.tokens, weights.data() + at, M, 1,
                                      values.data() + at * width, at, out, CV);
                    at += segment.tokens;
                }
                for (int64 i = 0; i < n; i++)
                    for (int64 j = 0; j < DV; j++) out[i * CV + j] *= inverse[i];
            }
        }
    }
"""

# With P the weights and g the gradient of the output:
#   dV = P^T g,  dP = g V^T,  dS = P * (dP - rowsum(dP * P)) * scale,  dQ = dS K,  dK = dS^T Q.
# One thread owns a head of one key, so that sums over queries need no locks.
_BACKWARD = _SIZES + _SCORES + """
    const float *k = in1_p, *v = in2_p, *g = in3_p;
    const int64 KB = in1_shape0;
    const float scale = segments[0].scale;
    std::memset(out1_p, 0, sizeof(float) * KB * M * C);
    std::memset(out2_p, 0, sizeof(float) * KB * M * CV);
    #pragma omp parallel num_threads(threads)
    {
        std::vector<float> weights(rows * M), d(rows * M), inverse(rows), keys(D * room);
        std::vector<float> key_lines(M * product::rounded_up(D, product::PANEL));
        std::vector<float> values(DV * room);
        #pragma omp for schedule(dynamic)
        for (int64 task = 0; task < KB * H; task++) {
            const int64 kb = task / H, h = task % H;
            const float *key = k + kb * M * C + h * D, *value = v + kb * M * CV + h * DV;
            float *dk = out1_p + kb * M * C + h * D, *dv = out2_p + kb * M * CV + h * DV;
            const int64 b0 = KB == 1 ? 0 : kb, b1 = KB == 1 ? B : kb + 1;
            pack_keys(kb, h, keys.data());
            product::pack(key, C, false, M, D, key_lines.data());
            product::pack(value, CV, true, DV, M, values.data());
            for (int64 b = b0; b < b1; b++)
            for (int64 first = 0; first < N; first += rows) {
                const int64 n = std::min(rows, N - first);
                const float* grad = g + (b * N + first) * CV + h * DV;
                const int64 at = (b * N + first) * C + h * D;
                weigh(q + at, n, keys.data(), weights.data(), inverse.data(), nullptr);
                for (int64 i = 0; i < n; i++)
                    for (int64 j = 0; j < M; j++) weights[i * M + j] *= inverse[i];
                product::multiply('T', 'N', M, DV, n, weights.data(), M, grad, CV, true, dv, CV);
                product::multiply(n, M, DV, grad, CV, 1, values.data(), false, d.data(), M);
                for (int64 i = 0; i < n; i++) {
                    float *p = weights.data() + i * M, *e = d.data() + i * M;
                    float dot = 0;
                    for (int64 j = 0; j < M; j++) dot += e[j] * p[j];
                    for (int64 j = 0; j < M; j++) e[j] = p[j] * (e[j] - dot) * scale;
                }
                product::multiply(n, D, M, d.data(), M, 1, key_lines.data(), false, out0_p + at, C);
                product::multiply('T', 'N', M, D, n, d.data(), M, q + at, C, true, dk, C);
            }
        }
    }
"""


class _CpuAttention(jt.Function):  # type: ignore[misc, name-defined, unused-ignore]
    """Returns the output and the log-sum-exp of each query's scores, (B, heads, N)."""

    def __init__(self, heads: int, scales: list[float]) -> None:
        self.data = {"heads": heads} | {
            f"scale{number}": scale for number, scale in enumerate(scales)}
        self.heads = heads
        self.segments = ", ".join(
            _SEGMENT.format(key=1 + 2 * number, value=2 + 2 * number, number=number)
            for number in range(len(scales)))

    def execute(self, query: Var, *keys_and_values: Var) -> tuple[Var, Var]:
        self.inputs = [query, *keys_and_values]
        batch, queries, _ = query.shape
        out, lse = cpu_kernel(
            [[batch, queries, keys_and_values[1].shape[2]], [batch, self.heads, queries]],
            self.inputs, self._source(_FORWARD), self.data, product=True)
        return out, lse

    def grad(self, grad: Var, _: Var | None) -> Any:
        if len(self.inputs) > 3:
            raise NotImplementedError(
                "no gradient for attention to several segments of keys: there is one for one")
        shapes = [x.shape for x in self.inputs]
        return cpu_kernel(shapes, [*self.inputs, grad], self._source(_BACKWARD), self.data,
                          product=True)

    def _source(self, code: str) -> str:
        return code.replace("@segments", self.segments)


# The CUDA kernels are compiled for these head sizes; others are padded with zeros up to the next.
_HEAD_SIZES = (16, 32, 48, 64, 80, 128, 160, 256, 512)
_LARGEST_WITH_GRADIENT = 160
_MOST_CUDA_SEGMENTS = 2

_CUDA_SEGMENT = (
    "attention::Segment<in0_type>{{in{key}_p, in{value}_p, (int)in{key}_shape1,"
    ' in{key}_shape0 == 1, (float)data["scale{number}"]}}'
)


class _CudaAttention(jt.Function):  # type: ignore[misc, name-defined, unused-ignore]
    """Returns the output and the log-sum-exp of each query's scores, (B, heads, N)."""

    def __init__(self, heads: int, scales: list[float]) -> None:
        self.heads, self.scales = heads, scales

    def execute(self, query: Var, *keys_and_values: Var) -> tuple[Var, Var]:
        batch, queries, width = query.shape
        self.head_size = width // self.heads
        data: dict[str, float] = {"heads": self.heads}
        segments = ["attention::Segment<in0_type>{}"] * 2
        for number, scale in enumerate(self.scales):
            data[f"scale{number}"] = scale
            segments[number] = _CUDA_SEGMENT.format(
                key=1 + 2 * number, value=2 + 2 * number, number=number)
        call = f"""
            const int heads = (int)data["heads"];
            attention::run_forward<in0_type, {self._padded()}>(
                in0_p, {segments[0]}, {segments[1]}, out0_p, out1_p,
                in0_shape0, in0_shape1, heads, in0_shape2 / heads);"""
        out, lse = cuda_kernel(
            [query.shape, [batch, self.heads, queries]], [str(query.dtype), "float32"],
            [query, *keys_and_values], "attention", call, data)
        self.saved = [query, *keys_and_values, out, lse]
        return out, lse

    def grad(self, grad: Var, _: Var | None) -> Any:
        if len(self.scales) > 1 or self.head_size > _LARGEST_WITH_GRADIENT:
            raise NotImplementedError(
                f"no gradient on CUDA for attention with heads of {self.head_size} numbers and "
                f"{len(self.scales)} segments of keys: there is one for heads of up to "
                f"{_LARGEST_WITH_GRADIENT} and one segment"
            )
        query, key, value, _out, lse = self.saved
        call = f"""
            const int heads = (int)data["heads"];
            attention::run_backward<in0_type, {self._padded()}>(
                in0_p, in1_p, in2_p, in3_p, in4_p, in5_p, out0_p, out1_p, out2_p, out3_p,
                in0_shape0, in0_shape1, in1_shape1, heads, in0_shape2 / heads, in1_shape0 == 1,
                data["scale"]);"""
        gradients = cuda_kernel(
            [query.shape, key.shape, value.shape, lse.shape], [str(query.dtype)] * 3 + ["float32"],
            [*self.saved, grad], "attention_backward", call,
            {"heads": self.heads, "scale": self.scales[0]})
        return gradients[:3]

    def _padded(self) -> int:
        return next(size for size in _HEAD_SIZES if size >= self.head_size)


Segment = tuple[Var, Var]
"""Key and value, (B, M, C) and (B, M, Cv), or with a batch of 1 for the whole batch."""


def attention(query: Var, key: Var, value: Var, heads: int, scale: float | None = None) -> Var:
    """softmax(query key^T * scale) value, head by head (Vaswani et al. 2017, equation 1).

    Args:
        query: (B, N, C), the heads side by side in C.
        key: (B, M, C), or (1, M, C) for one key shared by the whole batch.
        value: (B, M, Cv) or (1, M, Cv), as `key`.
        heads: how many heads C and Cv are divided into.
        scale: positive factor of the scores; 1 / sqrt(C / heads) when not given.

    Returns:
        (B, N, Cv). Exact to rounding; memory grows with N + M, not with N * M.

    Raises:
        ValueError: the shapes do not fit together, or are beyond the kernels for CUDA.
    """
    out, _ = attention_with_lse(query, [(key, value)], heads, None if scale is None else [scale])
    return out


def attention_with_lse(
    query: Var,
    segments: Sequence[Segment],
    heads: int,
    scales: Sequence[float] | None = None,
) -> tuple[Var, Var]:
    """Attention to several segments of keys in one softmax, and its log-sum-exp.

    Args:
        query: (B, N, C), the heads side by side in C.
        segments: keys and values; at most two on CUDA. The keys of all stand in one softmax.
        heads: how many heads C is divided into.
        scales: positive factor of the scores of each segment; 1 / sqrt(C / heads) when not given.

    Returns:
        The output (B, N, Cv), and log(sum(exp(scores))) of each query, (B, heads, N) float32.
        Memory grows with N + M, not with N * M. Gradients flow with one segment only.

    Raises:
        ValueError: the shapes do not fit together, or are beyond the kernels for CUDA.
    """
    for key, value in segments:
        _check_shapes(query, key, value, heads)
    used = [(query.shape[2] // heads) ** -0.5] * len(segments) if scales is None else list(scales)
    if not segments or len(used) != len(segments) or min(used) <= 0:
        raise ValueError(f"attention to {len(segments)} segments with the scales {used}: give "
                         "each a positive one")
    if runs_on_cpu():
        kernel, dtype = _CpuAttention(heads, used), "float32"
    else:
        _check_cuda(query, segments, heads)
        # A style that was saved on the CPU is float32.
        kernel, dtype = _CudaAttention(heads, used), str(query.dtype)
    out, lse = kernel(query, *(each.cast(dtype) for segment in segments for each in segment))
    return out, lse


def attention_by_factors(
    query: Var, segments: Sequence[Segment], heads: int, factors: Sequence[float]
) -> tuple[Var, Var]:
    """`attention_with_lse` with scales of factor / sqrt(C / heads), one factor a segment."""
    scale = (query.shape[2] // heads) ** -0.5
    return attention_with_lse(query, segments, heads, [factor * scale for factor in factors])


def merge_attentions(parts: Sequence[tuple[Var, Var]], heads: int) -> Var:
    """Attention to all keys of several attentions, from their results: exact to rounding.

    With the output o_i and the log-sum-exp L_i of each, sum(e^L_i o_i) / sum(e^L_i).

    Args:
        parts: results of `attention_with_lse` for the same query.
        heads: how many heads the outputs are divided into.

    Returns:
        (B, N, C), in the outputs' number format.
    """
    shape, dtype = parts[0][0].shape, parts[0][0].dtype
    lses = jt.stack([lse for _, lse in parts])
    weights = jt.exp(lses - lses.max(0, keepdims=True))
    weights = weights / weights.sum(0, keepdims=True)
    weights = swap(weights.reshape(-1, heads, shape[1])).reshape(len(parts), *shape[:2], heads, 1)
    outputs = [out.float32().reshape(shape[0], shape[1], heads, -1) for out, _ in parts]
    merged = sum(out * weights[i] for i, out in enumerate(outputs))
    return merged.reshape(shape).cast(dtype)


def _check_shapes(query: Var, key: Var, value: Var, heads: int) -> None:
    batch, _, width = query.shape
    if (
        key.shape[0] not in (1, batch)
        or key.shape[:2] != value.shape[:2]
        or key.shape[2] != width
        or width % heads
        or value.shape[2] % heads
    ):
        raise ValueError(
            f"attention with {heads} heads: query {tuple(query.shape)}, key {tuple(key.shape)} and "
            f"value {tuple(value.shape)} do not fit together"
        )


def _check_cuda(query: Var, segments: Sequence[Segment], heads: int) -> None:
    width = query.shape[2]
    if len(segments) > _MOST_CUDA_SEGMENTS:
        raise ValueError(f"attention on CUDA takes at most {_MOST_CUDA_SEGMENTS} segments of keys, "
                         f"not {len(segments)}")
    widths = [value.shape[2] for _, value in segments]
    if width // heads > _HEAD_SIZES[-1] or set(widths) != {width}:
        raise ValueError(
            f"attention on CUDA takes heads of up to {_HEAD_SIZES[-1]} numbers, and values as wide "
            f"as keys; here are {heads} heads in {width}, and values of {widths}")
