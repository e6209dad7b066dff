"""Exact attention that never holds more than a small slab of scores.

The CPU kernel walks over blocks of query rows: one matrix product for the scores of the block, the
softmax in place, one product with the values. Heads are addressed by strides inside the
(batch, tokens, channels) arrays, so nothing is transposed or copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jstyleid_core.kernels.code import cpu_kernel, cuda_kernel, runs_on_cpu
from jstyleid_core.runtime.jittor import Var, jt

_SIZES = """
    const int64 B = in0_shape0, N = in0_shape1, C = in0_shape2;
    const int64 KB = in1_shape0, M = in1_shape1, CV = in2_shape2;
    const int64 H = (int64)data["heads"], D = C / H, DV = CV / H;
    const float scale = data["scale"];
    // About half a megabyte of scores: they stay in the second-level cache.
    const int64 rows = std::max<int64>(8, std::min<int64>(64, 131072 / M));
    const int64 blocks = blocks_of(N, rows);
    const int threads = threads_for(2. * B * N * M * (C + CV));
    const float *q = in0_p, *k = in1_p, *v = in2_p;
    Product product;
"""

_SCORES = """
    auto scores = [&](int64 b, int64 h, int64 first, int64 n, float* s) {
        const int64 kb = KB == 1 ? 0 : b;
        product('N', 'T', n, M, D, scale, q + (b * N + first) * C + h * D, C,
                k + kb * M * C + h * D, C, 0.f, s, M);
        for (int64 i = 0; i < n; i++) {
            float* row = s + i * M;
            float top = row[0];
            for (int64 j = 1; j < M; j++) top = std::max(top, row[j]);
            float sum = 0;
            for (int64 j = 0; j < M; j++) { row[j] = std::exp(row[j] - top); sum += row[j]; }
            const float inverse = 1.f / sum;
            for (int64 j = 0; j < M; j++) row[j] *= inverse;
        }
    };
"""

_FORWARD = _SIZES + _SCORES + """
    #pragma omp parallel num_threads(threads)
    {
        std::vector<float> s(rows * M);
        #pragma omp for schedule(dynamic)
        for (int64 task = 0; task < B * H * blocks; task++) {
            const int64 b = task / (H * blocks), h = task / blocks % H;
            const int64 first = task % blocks * rows, n = std::min(rows, N - first);
            const int64 kb = KB == 1 ? 0 : b;
            scores(b, h, first, n, s.data());
            product('N', 'N', n, DV, M, 1.f, s.data(), M, v + kb * M * CV + h * DV, CV,
                    0.f, out_p + (b * N + first) * CV + h * DV, CV);
        }
    }
    product.check();
"""

# With P the weights and g the gradient of the output:
#   dV = P^T g,  dP = g V^T,  dS = P * (dP - rowsum(dP * P)) * scale,  dQ = dS K,  dK = dS^T Q.
# One thread owns a head of one key, so that sums over queries need no locks.
_BACKWARD = _SIZES + _SCORES + """
    const float* g = in3_p;
    std::memset(out1_p, 0, sizeof(float) * KB * M * C);
    std::memset(out2_p, 0, sizeof(float) * KB * M * CV);
    #pragma omp parallel num_threads(threads)
    {
        std::vector<float> s(rows * M), d(rows * M);
        #pragma omp for schedule(dynamic)
        for (int64 task = 0; task < KB * H; task++) {
            const int64 kb = task / H, h = task % H;
            const float *key = k + kb * M * C + h * D, *value = v + kb * M * CV + h * DV;
            float *dk = out1_p + kb * M * C + h * D, *dv = out2_p + kb * M * CV + h * DV;
            const int64 b0 = KB == 1 ? 0 : kb, b1 = KB == 1 ? B : kb + 1;
            for (int64 b = b0; b < b1; b++)
            for (int64 first = 0; first < N; first += rows) {
                const int64 n = std::min(rows, N - first);
                const float* grad = g + (b * N + first) * CV + h * DV;
                const int64 at = (b * N + first) * C + h * D;
                scores(b, h, first, n, s.data());
                product('T', 'N', M, DV, n, 1.f, s.data(), M, grad, CV, 1.f, dv, CV);
                product('N', 'T', n, M, DV, 1.f, grad, CV, value, CV, 0.f, d.data(), M);
                for (int64 i = 0; i < n; i++) {
                    float *p = s.data() + i * M, *e = d.data() + i * M;
                    float dot = 0;
                    for (int64 j = 0; j < M; j++) dot += e[j] * p[j];
                    for (int64 j = 0; j < M; j++) e[j] = p[j] * (e[j] - dot) * scale;
                }
                product('N', 'N', n, D, M, 1.f, d.data(), M, key, C, 0.f, out0_p + at, C);
                product('T', 'N', M, D, n, 1.f, d.data(), M, q + at, C, 1.f, dk, C);
            }
        }
    }
    product.check();
"""


class _Attention(jt.Function):  # type: ignore[misc, name-defined, unused-ignore]
    def __init__(self, heads: int, scale: float) -> None:
        self.data = {"heads": heads, "scale": scale}

    def execute(self, query: Var, key: Var, value: Var) -> Var:
        self.inputs = [query, key, value]
        shape = [query.shape[0], query.shape[1], value.shape[2]]
        return cpu_kernel([shape], self.inputs, _FORWARD, self.data, dnnl=True)

    def grad(self, grad: Var) -> Any:
        shapes = [x.shape for x in self.inputs]
        return cpu_kernel(shapes, [*self.inputs, grad], _BACKWARD, self.data, dnnl=True)


# The CUDA kernels are compiled for these head sizes; others are padded with zeros up to the next.
_HEAD_SIZES = (16, 32, 48, 64, 80, 128, 160, 256, 512)
_LARGEST_WITH_GRADIENT = 160

_CUDA_SEGMENT = (
    "attention::Segment<in0_type>{{in{key}_p, in{value}_p, (int)in{key}_shape1,"
    ' in{key}_shape0 == 1, (float)data["scale{number}"]}}'
)


class _CudaAttention(jt.Function):  # type: ignore[misc, name-defined, unused-ignore]
    """Returns the output and the log-sum-exp of each query's scores, (B, heads, N)."""

    def __init__(self, heads: int, scales: list[float]) -> None:
        if min(scales) <= 0:
            raise ValueError(f"attention with the scales {scales}: they must be positive")
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
    if scale is None:
        scale = (width // heads) ** -0.5
    if runs_on_cpu():
        return _Attention(heads, scale)(query, key, value)
    if width // heads > _HEAD_SIZES[-1] or value.shape[2] != width:
        raise ValueError(
            f"attention on CUDA takes heads of up to {_HEAD_SIZES[-1]} numbers, and values as wide "
            f"as keys; here are {heads} heads in {width}, and values of {value.shape[2]}")
    # A style that was saved on the CPU is float32.
    dtype = query.dtype
    return _CudaAttention(heads, [scale])(query, key.cast(dtype), value.cast(dtype))[0]


def attention_with_lse(
    query: Var,
    segments: Sequence[tuple[Var, Var]],
    heads: int,
    scales: Sequence[float] | None = None,
) -> tuple[Var, Var]:
    """Attention on CUDA to one or two segments of keys in one softmax, and its log-sum-exp.

    Args:
        query: (B, N, C), the heads side by side in C.
        segments: one or two pairs of key and value, each (B, M, C) or (1, M, C).
        heads: how many heads C is divided into.
        scales: positive factor of the scores of each segment; 1 / sqrt(C / heads) when not given.

    Returns:
        The output (B, N, C) and log(sum(exp(scores))), (B, heads, N) float32.

    Raises:
        ValueError: there are not one or two segments.
    """
    if len(segments) not in (1, 2):
        raise ValueError(f"attention takes one or two segments of keys, not {len(segments)}")
    used = [(query.shape[2] // heads) ** -0.5] * len(segments) if scales is None else list(scales)
    flat = [each for pair in segments for each in pair]
    return _CudaAttention(heads, used)(query, *flat)
