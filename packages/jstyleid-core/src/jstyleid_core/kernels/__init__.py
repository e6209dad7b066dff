"""Operators that Jittor computes slowly or inexactly on the CPU, written out by hand.

Their results do not depend on the number of threads, to the bit.

Each operator of the network has three forms: a CPU kernel with its own backward pass, the same in
plain Jittor operators (`kernels.plain`, used on CUDA and as the tests' reference), and the public
function here, which picks one by device. All take and return float32 or, on CUDA, float16.
"""

from jstyleid_core.kernels.activation import gelu_gate
from jstyleid_core.kernels.attention import attention
from jstyleid_core.kernels.convolution import conv2d
from jstyleid_core.kernels.half import widen
from jstyleid_core.kernels.linear import linear
from jstyleid_core.kernels.normalization import group_norm, layer_norm

__all__ = ["attention", "conv2d", "gelu_gate", "group_norm", "layer_norm", "linear", "widen"]
