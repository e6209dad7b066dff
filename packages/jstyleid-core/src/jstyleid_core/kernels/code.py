"""How a hand-written CPU kernel becomes a Jittor operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jstyleid_core.runtime.jittor import Var, jt

_HEADER = """
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>
#include <omp.h>
"""


def runs_on_cpu() -> bool:
    """Whether operators created now are executed on the CPU."""
    return not jt.flags.use_cuda


def cpu_kernel(
    shapes: Sequence[Sequence[int]],
    inputs: Sequence[Var],
    source: str,
    data: dict[str, float] | None = None,
    *,
    dnnl: bool = False,
    header: str = "",
) -> Any:
    """Run `source` on its inputs; it sees `in0_p`, `in0_shape0`, `out0_p`, `data["name"]`, ….

    The kernel is compiled once for all shapes. Returns one float32 Var, or a list for several
    outputs. `dnnl` links oneDNN, `header` adds includes.
    """
    arguments: dict[str, Any] = {
        "inputs": list(inputs),
        "cpu_header": _HEADER + ("#include <dnnl.hpp>\n" if dnnl else "") + header,
        "cpu_src": source,
        "data": data or {},
    }
    if len(shapes) == 1:
        out = jt.code(shape=list(shapes[0]), dtype="float32", **arguments)
        first = out
    else:
        out = jt.code(shapes=[list(s) for s in shapes], dtypes=["float32"] * len(shapes),
                      **arguments)
        first = out[0]
    if dnnl:
        first.compile_options = {_dnnl_flags(): 1}
    return out


def _dnnl_flags() -> str:
    from jstyleid_core.runtime.onednn import find

    library = find()
    return f"FLAGS: -I{library.include} -L{library.lib} -lmkldnn "
