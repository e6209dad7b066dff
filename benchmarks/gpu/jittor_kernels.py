"""Single operators by jstyleid: `python jittor_kernels.py kernels CASE RESULT`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from case import Case, Result, main, median
from jittor_side import forget
from jstyleid_core import kernels
from jstyleid_core.runtime.jittor import Var, jt
from kernel_cases import CALLS, Kernel
from kernel_cases import kernels as chosen


def compute(kernel: Kernel) -> Callable[[], Var]:
    """A call of an operator, on random numbers that are on the device already."""
    rng = np.random.default_rng(0)

    def array(*shape: int) -> Var:
        var = jt.array(rng.standard_normal(shape, dtype=np.float32)).cast(kernel.dtype)
        var.sync()
        return var

    shape = kernel.shape
    if kernel.kind == "attention":
        batch, tokens, heads, size = shape
        query, key, value = (array(batch, tokens, heads * size) for _ in range(3))
        return lambda: kernels.attention(query, key, value, heads)
    if kernel.kind == "GEGLU":
        x = array(*shape[:2], 2 * shape[2])
        return lambda: kernels.gelu_gate(x)
    x = array(*shape)
    if kernel.kind == "convolution":
        weight = array(shape[1], shape[1], 3, 3)
        return lambda: kernels.conv2d(x, weight, padding=(1, 1))
    channels = shape[1] if kernel.kind == "group norm" else shape[2]
    scale, shift = array(channels), array(channels)
    if kernel.kind == "group norm":
        return lambda: kernels.group_norm(x, scale, shift, 32, 1e-5)
    return lambda: kernels.layer_norm(x, scale, shift, 1e-5)


def timed(call: Callable[[], Any], repeats: int) -> Result:
    """Medians of a call in a row of `CALLS`, on the whole and until the host is done."""
    whole, host = [], []
    with jt.no_grad():
        for number in range(2 + repeats):
            jt.sync_all(True)
            start = time.perf_counter()
            outputs = [call() for _ in range(CALLS)]
            for out in outputs:
                out.sync()
            launched = time.perf_counter()
            jt.sync_all(True)
            if number >= 2:
                host.append((launched - start) / CALLS)
                whole.append((time.perf_counter() - start) / CALLS)
    return {"seconds": median(whole), "host_seconds": median(host)}


def run(case: Case) -> Iterator[Result]:
    """The time of every operator."""
    result: Result = {}
    for kernel in chosen(case.size, case.device):
        forget()
        result[kernel.name] = timed(compute(kernel), case.sizes.repeats)
        yield result


if __name__ == "__main__":
    main({"kernels": run})
