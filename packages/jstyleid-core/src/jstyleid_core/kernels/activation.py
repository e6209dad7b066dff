"""The gated GELU of the UNet's feed-forward layers, in one threaded pass."""

from __future__ import annotations

from jstyleid_core.kernels.code import cpu_kernel, cuda_kernel, runs_on_cpu
from jstyleid_core.runtime.jittor import Var, jt

# The C library's erff does not vectorise. This is the rational approximation that compilers for
# array languages use: within a few units in the last place on [-4, 4], where float32 erf saturates.
_ERF = """
    auto erf = [](float x) {
        x = std::max(-4.f, std::min(4.f, x));
        const float s = x * x;
        float p = -2.72614225801306e-10f;
        p = p * s + 2.77068142495902e-08f;
        p = p * s - 2.10102402082508e-06f;
        p = p * s - 5.69250639462346e-05f;
        p = p * s - 7.34990630326855e-04f;
        p = p * s - 2.95459980854025e-03f;
        p = p * s - 1.60960333262415e-02f;
        float q = -1.45660718464996e-05f;
        q = q * s - 2.13374055278905e-04f;
        q = q * s - 1.68282697438203e-03f;
        q = q * s - 7.37332916720468e-03f;
        q = q * s - 1.42647390514189e-02f;
        return x * p / q;
    };
    const int64 n = in0->shape[in0->shape.size() - 1] / 2, rows = in0->num / (2 * n);
    const int threads = threads_for(100. * in0->num);
"""

_FORWARD = _ERF + """
    #pragma omp parallel for num_threads(threads)
    for (int64 t = 0; t < rows; t++) {
        const float *hidden = in0_p + t * 2 * n, *gate = hidden + n;
        float* o = out_p + t * n;
        for (int64 j = 0; j < n; j++)
            o[j] = hidden[j] * 0.5f * gate[j] * (1.f + erf(gate[j] * 0.70710678f));
    }
"""

_BACKWARD = _ERF + """
    #pragma omp parallel for num_threads(threads)
    for (int64 t = 0; t < rows; t++) {
        const float *hidden = in0_p + t * 2 * n, *gate = hidden + n, *g = in1_p + t * n;
        float *dh = out_p + t * 2 * n, *dg = dh + n;
        for (int64 j = 0; j < n; j++) {
            const float x = gate[j], cdf = 0.5f * (1.f + erf(x * 0.70710678f));
            const float density = 0.39894228f * std::exp(-0.5f * x * x);
            dh[j] = g[j] * x * cdf;
            dg[j] = g[j] * hidden[j] * (cdf + x * density);
        }
    }
"""


class _GeluGate(jt.Function):  # type: ignore[misc, name-defined, unused-ignore]
    def execute(self, x: Var) -> Var:
        self.input = x
        return cpu_kernel([[*x.shape[:-1], x.shape[-1] // 2]], [x], _FORWARD)

    def grad(self, grad: Var) -> Var:
        return cpu_kernel([self.input.shape], [self.input, grad], _BACKWARD)


class _CudaGeluGate(jt.Function):  # type: ignore[misc, name-defined, unused-ignore]
    def execute(self, x: Var) -> Var:
        self.input = x
        half = x.shape[-1] // 2
        return cuda_kernel(
            [[*x.shape[:-1], half]], [str(x.dtype)], [x], "elementwise",
            "const int64 n = out0->shape[out0->shape.size() - 1];"
            "elementwise::run_gelu_gate<in0_type>(in0_p, out0_p, out0->num / n, n);")[0]

    def grad(self, grad: Var) -> Var:
        x = self.input
        return cuda_kernel(
            [x.shape], [str(x.dtype)], [x, grad], "elementwise",
            "const int64 n = in1->shape[in1->shape.size() - 1];"
            "elementwise::run_gelu_gate_backward<in0_type>(in0_p, in1_p, out0_p, in1->num / n, n);"
        )[0]


def gelu_gate(x: Var) -> Var:
    """GEGLU (Shazeer 2020, equation 6) after its projection: hidden * GELU(gate), exact GELU.

    Args:
        x: (..., 2 C), hidden and gate side by side.

    Returns:
        (..., C).
    """
    return _GeluGate()(x) if runs_on_cpu() else _CudaGeluGate()(x)
