"""Group and layer normalisation with sums that keep their digits, forward and backward.

Jittor's own take E[x^2] - E[x]^2 in float32, which is 7e-4 off where the mean is 30 standard
deviations and useless beyond. Here sums run in blocks of float32 collected in double, the variance
is taken around the mean, and one pass of threads does the work. SiLU, which follows most group
norms of Stable Diffusion, can be done in the same pass.
"""

from __future__ import annotations

from typing import Any

from jstyleid_core.kernels.code import cpu_kernel, cuda_kernel, runs_on_cpu
from jstyleid_core.runtime.jittor import Var, jt

_STATISTICS = """
    // Mean and 1/sqrt(variance + eps) of n numbers, around a first estimate of the mean.
    auto statistics = [&](const float* p, int64 n, double eps, float& mean, float& rstd) {
        const int64 block = 4096;
        double sum = 0;
        for (int64 i = 0; i < n; i += block) {
            float part = 0;
            const int64 end = std::min(n, i + block);
            for (int64 j = i; j < end; j++) part += p[j];
            sum += part;
        }
        const float near = sum / n;
        double first = 0, second = 0;
        for (int64 i = 0; i < n; i += block) {
            float a = 0, b = 0;
            const int64 end = std::min(n, i + block);
            for (int64 j = i; j < end; j++) { const float d = p[j] - near; a += d; b += d * d; }
            first += a; second += b;
        }
        const double rest = first / n;
        mean = (float)(near + rest);
        rstd = (float)(1.0 / std::sqrt(std::max(0.0, second / n - rest * rest) + eps));
    };
"""

_GROUP_SIZES = _STATISTICS + """
    const int64 B = in0_shape0, C = in0_shape1, L = in0->num / (B * C);
    const int64 G = (int64)data["groups"], CG = C / G, n = CG * L;
    const bool silu = data["silu"] != 0;
    const float *x = in0_p, *w = in1_p, *bias = in2_p;
    const int threads = threads_for(100. * in0->num);
"""

_GROUP_FORWARD = _GROUP_SIZES + """
    #pragma omp parallel for num_threads(threads)
    for (int64 t = 0; t < B * G; t++) {
        float mean, rstd;
        statistics(x + t * n, n, data["eps"], mean, rstd);
        for (int64 c = 0; c < CG; c++) {
            const int64 channel = t % G * CG + c;
            const float scale = w[channel] * rstd, shift = bias[channel];
            const float* p = x + t * n + c * L;
            float* o = out_p + t * n + c * L;
            if (silu)
                for (int64 j = 0; j < L; j++) {
                    const float y = (p[j] - mean) * scale + shift;
                    o[j] = y / (1.f + std::exp(-y));
                }
            else
                for (int64 j = 0; j < L; j++) o[j] = (p[j] - mean) * scale + shift;
        }
    }
"""

# With xhat the normalised input, g the gradient at y = w xhat + b (after SiLU's own derivative):
#   dx = rstd (w g - mean(w g) - xhat mean(w g xhat)),  dw = sum(g xhat),  db = sum(g).
_GROUP_BACKWARD = _GROUP_SIZES + """
    const float* g = in3_p;
    std::vector<double> dw(B * C), db(B * C);
    #pragma omp parallel for num_threads(threads)
    for (int64 t = 0; t < B * G; t++) {
        float mean, rstd;
        statistics(x + t * n, n, data["eps"], mean, rstd);
        double sum_g = 0, sum_gx = 0;
        for (int64 c = 0; c < CG; c++) {
            const int64 channel = t % G * CG + c, at = t * n + c * L;
            double a = 0, b = 0;
            for (int64 j = 0; j < L; j++) {
                const float xhat = (x[at + j] - mean) * rstd;
                float d = g[at + j];
                if (silu) {
                    const float y = w[channel] * xhat + bias[channel];
                    const float s = 1.f / (1.f + std::exp(-y));
                    d *= s * (1.f + y * (1.f - s));
                }
                out0_p[at + j] = d;
                a += d; b += (double)d * xhat;
            }
            db[t / G * C + channel] = a; dw[t / G * C + channel] = b;
            sum_g += w[channel] * a; sum_gx += w[channel] * b;
        }
        const float mean_g = sum_g / n, mean_gx = sum_gx / n;
        for (int64 c = 0; c < CG; c++) {
            const int64 channel = t % G * CG + c, at = t * n + c * L;
            for (int64 j = 0; j < L; j++) {
                const float xhat = (x[at + j] - mean) * rstd;
                out0_p[at + j] = rstd * (w[channel] * out0_p[at + j] - mean_g - xhat * mean_gx);
            }
        }
    }
    for (int64 c = 0; c < C; c++) {
        double a = 0, b = 0;
        for (int64 i = 0; i < B; i++) { a += dw[i * C + c]; b += db[i * C + c]; }
        out1_p[c] = a; out2_p[c] = b;
    }
"""

_LAYER_FORWARD = _STATISTICS + """
    const int64 n = in1_shape0, rows = in0->num / n;
    const float *w = in1_p, *bias = in2_p;
    #pragma omp parallel for num_threads(threads_for(100. * in0->num))
    for (int64 t = 0; t < rows; t++) {
        const float* p = in0_p + t * n;
        float* o = out_p + t * n;
        float mean, rstd;
        statistics(p, n, data["eps"], mean, rstd);
        for (int64 j = 0; j < n; j++) o[j] = (p[j] - mean) * rstd * w[j] + bias[j];
    }
"""

_LAYER_BACKWARD = _STATISTICS + """
    const int64 n = in1_shape0, rows = in0->num / n;
    const float *x = in0_p, *w = in1_p, *g = in3_p;
    // Sums over rows are made of blocks of rows, so that threads do not show in them.
    const int64 size = 64, blocks = blocks_of(rows, size);
    std::vector<double> dw(blocks * n), db(blocks * n);
    const int threads = threads_for(200. * in0->num);
    #pragma omp parallel for num_threads(threads)
    for (int64 block = 0; block < blocks; block++) {
        double *own_w = dw.data() + block * n, *own_b = db.data() + block * n;
        for (int64 t = block * size; t < std::min(rows, (block + 1) * size); t++) {
            const float *p = x + t * n, *d = g + t * n;
            float* o = out0_p + t * n;
            float mean, rstd;
            statistics(p, n, data["eps"], mean, rstd);
            double sum_g = 0, sum_gx = 0;
            for (int64 j = 0; j < n; j++) {
                const float xhat = (p[j] - mean) * rstd;
                sum_g += w[j] * d[j]; sum_gx += (double)w[j] * d[j] * xhat;
                own_b[j] += d[j]; own_w[j] += (double)d[j] * xhat;
            }
            const float mean_g = sum_g / n, mean_gx = sum_gx / n;
            for (int64 j = 0; j < n; j++) {
                const float xhat = (p[j] - mean) * rstd;
                o[j] = rstd * (w[j] * d[j] - mean_g - xhat * mean_gx);
            }
        }
    }
    for (int64 j = 0; j < n; j++) {
        double a = 0, b = 0;
        for (int64 at = j; at < blocks * n; at += n) { a += dw[at]; b += db[at]; }
        out1_p[j] = a; out2_p[j] = b;
    }
"""


class _Normalization(jt.Function):  # type: ignore[misc, name-defined, unused-ignore]
    """Both norms: they differ in the two kernels and their constants only."""

    def __init__(self, forward: str, backward: str, data: dict[str, float]) -> None:
        self.forward, self.backward, self.data = forward, backward, data

    def execute(self, x: Var, weight: Var, bias: Var) -> Var:
        self.inputs = [x, weight, bias]
        return cpu_kernel([x.shape], self.inputs, self.forward, self.data)

    def grad(self, grad: Var) -> Any:
        shapes = [x.shape for x in self.inputs]
        return cpu_kernel(shapes, [*self.inputs, grad], self.backward, self.data)


class _CudaGroupNorm(jt.Function):  # type: ignore[misc, name-defined, unused-ignore]
    def __init__(self, data: dict[str, float]) -> None:
        self.data = data

    def execute(self, x: Var, weight: Var, bias: Var) -> Var:
        self.inputs = [x, weight, bias]
        self.frozen = weight.is_stop_grad() and bias.is_stop_grad()
        return self._kernel([x.shape], [str(x.dtype)], self.inputs, """
            normalization::run_group_forward<in0_type>(in0_p, in1_p, in2_p, out0_p, B, G, C, L,
                                                       data["eps"], data["silu"] != 0);""")[0]

    def grad(self, grad: Var) -> Any:
        x, weight, bias = self.inputs
        dx, sums = self._kernel([x.shape, [2, *x.shape[:2]]], [str(x.dtype), "float32"],
                                [*self.inputs, grad], """
            normalization::run_group_backward<in0_type>(in0_p, in1_p, in2_p, in3_p, out0_p, out1_p,
                                                        B, G, C, L, data["eps"], data["silu"] != 0);
            """)
        if self.frozen:
            return dx, None, None
        dw, db = sums[0].sum(0), sums[1].sum(0)
        return dx, dw.cast(weight.dtype), db.cast(bias.dtype)

    def _kernel(self, shapes: Any, dtypes: list[str], inputs: list[Var], call: str) -> list[Var]:
        sizes = """
            const int64 B = in0_shape0, C = in0_shape1, L = in0->num / (B * C);
            const int64 G = (int64)data["groups"];"""
        return cuda_kernel(shapes, dtypes, inputs, "normalization", sizes + call, self.data)


class _CudaLayerNorm(jt.Function):  # type: ignore[misc, name-defined, unused-ignore]
    def __init__(self, eps: float) -> None:
        self.data = {"eps": eps}

    def execute(self, x: Var, weight: Var, bias: Var) -> Var:
        self.inputs = [x, weight, bias]
        self.frozen = weight.is_stop_grad() and bias.is_stop_grad()
        return cuda_kernel([x.shape], [str(x.dtype)], self.inputs, "normalization", """
            const int64 n = in1_shape0, rows = in0->num / n;
            normalization::run_layer_forward<in0_type>(in0_p, in1_p, in2_p, out0_p, rows, n,
                                                       data["eps"]);""", self.data)[0]

    def grad(self, grad: Var) -> Any:
        x, weight, bias = self.inputs
        shapes: list[Any] = [x.shape, [x.numel() // weight.shape[0], 2]]
        dtypes = [str(x.dtype), "float32"]
        if not self.frozen:
            shapes += [weight.shape, bias.shape]
            dtypes += [str(weight.dtype), str(bias.dtype)]
        out = cuda_kernel(shapes, dtypes, [x, weight, grad], "normalization", """
            const int64 n = in1_shape0, rows = in0->num / n;
            normalization::run_layer_backward<in0_type>(in0_p, in1_p, in2_p, out0_p, out1_p, %s,
                                                        rows, n, data["eps"]);
            """ % ("nullptr, nullptr" if self.frozen else "out2_p, out3_p"), self.data)
        return (out[0], None, None) if self.frozen else (out[0], out[2], out[3])


def group_norm(
    x: Var, weight: Var, bias: Var, groups: int, eps: float, silu: bool = False
) -> Var:
    """Group normalisation (Wu and He 2018, equation 1), then SiLU where asked for.

    Args:
        x: (B, C, ...) with C a multiple of `groups`.
        weight, bias: (C,).
        eps: added to the variance.
        silu: return y * sigmoid(y) instead of y.

    Returns:
        As `x`.
    """
    data = {"groups": groups, "eps": eps, "silu": int(silu)}
    if not runs_on_cpu():
        return _CudaGroupNorm(data)(x, weight, bias)
    return _Normalization(_GROUP_FORWARD, _GROUP_BACKWARD, data)(x, weight, bias)


def layer_norm(x: Var, weight: Var, bias: Var, eps: float) -> Var:
    """Layer normalisation over the last axis (Ba et al. 2016).

    Args:
        x: (..., C).
        weight, bias: (C,).
        eps: added to the variance.

    Returns:
        As `x`.
    """
    if not runs_on_cpu():
        return _CudaLayerNorm(eps)(x, weight, bias)
    return _Normalization(_LAYER_FORWARD, _LAYER_BACKWARD, {"eps": eps})(x, weight, bias)
