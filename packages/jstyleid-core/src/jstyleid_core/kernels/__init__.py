"""Operators that Jittor computes slowly or inexactly, written by hand for the CPU and for CUDA.

Their results do not depend on the number of threads, to the bit.

Each operator of the network has a CPU kernel and a CUDA kernel (`kernels/cuda`), each with its own
backward pass; the functions here pick one by device. All take and return float32 or, on CUDA,
float16 and bfloat16. `reference/plain_kernels.py` has the same in plain Jittor operators, for
tests.
"""

from jstyleid_core.kernels.activation import gelu_gate
from jstyleid_core.kernels.attention import (
    attention,
    attention_by_factors,
    attention_with_lse,
    merge_attentions,
)
from jstyleid_core.kernels.convolution import conv2d
from jstyleid_core.kernels.half import widen
from jstyleid_core.kernels.layout import join_channels, swap, to_map, to_tokens
from jstyleid_core.kernels.linear import linear
from jstyleid_core.kernels.normalization import group_norm, layer_norm

__all__ = [
    "attention",
    "attention_by_factors",
    "attention_with_lse",
    "conv2d",
    "gelu_gate",
    "group_norm",
    "join_channels",
    "layer_norm",
    "linear",
    "merge_attentions",
    "swap",
    "to_map",
    "to_tokens",
    "widen",
]
