"""How a hand-written CPU kernel becomes a Jittor operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jstyleid_core.backend import Var, jt

HEADER = """
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>
#include <omp.h>
"""

DNNL_HEADER = HEADER + "#include <dnnl.hpp>\n"


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
) -> Any:
    """Run `source` on float32 inputs; it sees `in0_p`, `in0_shape0`, `out0_p`, `data["name"]`, ….

    The kernel is compiled once for all shapes. Returns one Var, or a list for several outputs.
    """
    arguments: dict[str, Any] = {
        "inputs": [x if x.dtype == "float32" else x.float32() for x in inputs],
        "cpu_header": DNNL_HEADER if dnnl else HEADER,
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
