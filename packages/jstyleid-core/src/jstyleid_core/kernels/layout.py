"""The order of numbers in memory: channels and pixels exchanged, feature maps side by side.

Without the library cutt Jittor moves the last axis of an array on the host, one core of it: on
CUDA each such transpose needs a kernel.
"""

from __future__ import annotations

from jstyleid_core.kernels.code import cuda_kernel, runs_on_cpu
from jstyleid_core.runtime.jittor import Var, jt


class _CudaJoin(jt.Function):  # type: ignore[misc, name-defined, unused-ignore]
    def execute(self, x: Var, y: Var) -> Var:
        self.channels = x.shape[1]
        shape = [x.shape[0], x.shape[1] + y.shape[1], *x.shape[2:]]
        return cuda_kernel(
            [shape], [str(x.dtype)], [x, y], "elementwise",
            "elementwise::run_join<in0_type>(in0_p, in1_p, out0_p, in0_shape0, "
            "in0->num / in0_shape0, in1->num / in0_shape0);")[0]

    def grad(self, grad: Var) -> tuple[Var, Var]:
        return grad[:, : self.channels], grad[:, self.channels :]


class _CudaSwap(jt.Function):  # type: ignore[misc, name-defined, unused-ignore]
    def execute(self, x: Var) -> Var:
        batch, rows, columns = x.shape
        return cuda_kernel(
            [[batch, columns, rows]], [str(x.dtype)], [x], "elementwise",
            "elementwise::run_swap<in0_type>(in0_p, out0_p, in0_shape0, in0_shape1, in0_shape2);"
        )[0]

    def grad(self, grad: Var) -> Var:
        return swap(grad)


def swap(x: Var) -> Var:
    """The last two axes exchanged: (B, M, N) to (B, N, M)."""
    return x.transpose(0, 2, 1) if runs_on_cpu() else _CudaSwap()(x)


def join_channels(x: Var, y: Var) -> Var:
    """Feature maps (B, C, H, W) and (B, D, H, W) as one, (B, C + D, H, W).

    On CUDA by one kernel, where Jittor's `concat` starts two.
    """
    return jt.concat([x, y], dim=1) if runs_on_cpu() else _CudaJoin()(x, y)


def to_tokens(x: Var) -> Var:
    """A feature map (B, C, H, W) as tokens (B, H W, C)."""
    batch, channels, height, width = x.shape
    return swap(x.reshape(batch, channels, height * width))


def to_map(tokens: Var, height: int, width: int) -> Var:
    """Tokens (B, H W, C) as a feature map (B, C, H, W)."""
    batch, _, channels = tokens.shape
    return swap(tokens).reshape(batch, channels, height, width)
