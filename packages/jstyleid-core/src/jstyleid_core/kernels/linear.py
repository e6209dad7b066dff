"""Products with a weight matrix, and their gradients, each tile of the result by one thread."""

from __future__ import annotations

from typing import Any

from jstyleid_core.kernels.code import cpu_kernel, runs_on_cpu
from jstyleid_core.runtime.jittor import Var, jt, nn

# A (rows, columns) matrix whose numbers are sums of `length` products.
_TILES = """
    auto tiles = [&](int64 rows, int64 columns, int64 length, auto&& compute) {
        const int64 size = 256, across = blocks_of(columns, size);
        const int64 count = blocks_of(rows, size) * across;
        const int threads = threads_for(2. * rows * columns * length);
        #pragma omp parallel for schedule(dynamic) num_threads(threads)
        for (int64 t = 0; t < count; t++) {
            const int64 r = t / across * size, c = t % across * size;
            compute(r, std::min(size, rows - r), c, std::min(size, columns - c));
        }
    };
"""

# x is (R, K), the weight (N, K), the output and its gradient (R, N).
_FORWARD = _TILES + """
    const int64 N = in1_shape0, K = in1_shape1, R = in0->num / K;
    tiles(R, N, K, [&](int64 r, int64 rows, int64 c, int64 columns) {
        product::multiply('N', 'T', rows, columns, K, in0_p + r * K, K, in1_p + c * K, K,
                          false, out_p + r * N + c, N);
        finish(r, rows, c, columns);
    });
"""

_AS_IT_IS = "auto finish = [](int64, int64, int64, int64) {};"
_ADD_BIAS = """
    auto finish = [&](int64 r, int64 rows, int64 c, int64 columns) {
        for (int64 i = r; i < r + rows; i++) {
            float* o = out_p + i * in1_shape0 + c;
            for (int64 j = 0; j < columns; j++) o[j] += in2_p[c + j];
        }
    };
"""

# With g the gradient of the output:  dx = g W,  dW = g^T x,  db = sum of the rows of g.
_INPUT_GRADIENT = _TILES + """
    const int64 N = in1_shape0, K = in1_shape1, R = in0->num / N;
    tiles(R, K, N, [&](int64 r, int64 rows, int64 c, int64 columns) {
        product::multiply('N', 'N', rows, columns, N, in0_p + r * N, N, in1_p + c, K,
                          false, out_p + r * K + c, K);
    });
"""

_WEIGHT_GRADIENT = _TILES + """
    const int64 N = out_shape0, K = out_shape1, R = in0->num / N;
    tiles(N, K, R, [&](int64 r, int64 rows, int64 c, int64 columns) {
        product::multiply('T', 'N', rows, columns, R, in0_p + r, N, in1_p + c, K,
                          false, out_p + r * K + c, K);
    });
"""


class _Linear(jt.Function):  # type: ignore[misc, name-defined, unused-ignore]
    def execute(self, x: Var, weight: Var, bias: Var | None) -> Var:
        self.shape, self.weight, self.bias = x.shape, weight, bias
        # Beside a LoRA weights are frozen: the input need not be kept for their gradient.
        self.x = None if weight.is_stop_grad() else x
        shape = [*x.shape[:-1], weight.shape[0]]
        if bias is None:
            return cpu_kernel([shape], [x, weight], _AS_IT_IS + _FORWARD, product=True)
        return cpu_kernel([shape], [x, weight, bias], _ADD_BIAS + _FORWARD, product=True)

    def grad(self, grad: Var) -> Any:
        weight = self.weight
        return (
            cpu_kernel([self.shape], [grad, weight], _INPUT_GRADIENT, product=True),
            None if self.x is None else
            cpu_kernel([weight.shape], [grad, self.x], _WEIGHT_GRADIENT, product=True),
            None if self.bias is None else grad.reshape(-1, weight.shape[0]).sum(0),
        )


def linear(x: Var, weight: Var, bias: Var | None = None) -> Var:
    """Product with a weight matrix: x weight^T + bias.

    Args:
        x: (..., K).
        weight: (N, K).
        bias: (N,), or None.

    Returns:
        (..., N).

    Raises:
        ValueError: the shapes do not fit together.
    """
    if x.shape[-1] != weight.shape[1]:
        raise ValueError(f"a weight {tuple(weight.shape)} does not fit {tuple(x.shape)}")
    if not runs_on_cpu():
        return nn.linear(x, weight, bias)  # cuBLAS
    return _Linear()(x, weight, bias)
