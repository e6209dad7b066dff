"""Single operators by torch: `python reference_kernels.py kernels-reference CASE RESULT`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from case import Case, Result, main
from kernel_cases import CALLS, Kernel
from kernel_cases import kernels as chosen
from reference_side import forget, prepare, seconds, versions


def geglu(x: Tensor) -> Tensor:
    """As diffusers writes it."""
    hidden, gate = x.chunk(2, dim=-1)
    return hidden * F.gelu(gate)


def compute(kernel: Kernel, device: str) -> Callable[[], Tensor]:
    """A call of an operator, on random numbers that are on the device already."""
    array = partial(torch.randn, dtype=getattr(torch, kernel.dtype), device=device)
    shape = kernel.shape
    if kernel.kind == "attention":
        batch, tokens, heads, size = shape
        query, key, value = (array(batch, tokens, heads * size).view(batch, tokens, heads, size)
                             .transpose(1, 2) for _ in range(3))
        return lambda: F.scaled_dot_product_attention(query, key, value)
    if kernel.kind == "GEGLU":
        return partial(geglu, array(*shape[:2], 2 * shape[2]))
    x = array(*shape)
    if kernel.kind == "convolution":
        return partial(F.conv2d, x, array(shape[1], shape[1], 3, 3), padding=1)
    channels = shape[1] if kernel.kind == "group norm" else shape[2]
    scale, shift = array(channels), array(channels)
    if kernel.kind == "group norm":
        return lambda: F.group_norm(x, 32, scale, shift, 1e-5)
    return lambda: F.layer_norm(x, (channels,), scale, shift, 1e-5)


def run(case: Case) -> Iterator[Result]:
    """The time of every operator, float32 without TF32."""
    torch.manual_seed(0)
    prepare(case)
    result: Result = {"versions": versions()}
    for kernel in chosen(case.size, case.device):
        forget(case)
        result[kernel.name] = {"seconds": seconds(compute(kernel, case.device), case, CALLS)}
        yield result


if __name__ == "__main__":
    main({"kernels-reference": run})
