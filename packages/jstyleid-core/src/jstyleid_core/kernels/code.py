"""How a hand-written kernel for the CPU or for CUDA becomes a Jittor operator.

A CPU kernel computes the same bits however many threads there are. Its work is cut into tiles by
the shapes alone, each tile is computed by one thread, and sums over tiles run in a fixed order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jstyleid_core.runtime.jittor import Var, jt

_HEADER = """
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>
#include <omp.h>

// How many threads share so many operations of a product; where memory is what takes time, a number
// that is read and written counts as a hundred. Waking a second thread takes some tens of
// microseconds, so what one is done with in 200 stays on one. Never a number of threads between:
// OpenMP ends and starts threads when it changes.
static inline int threads_for(double operations) {
    return operations < 2e7 ? 1 : omp_get_max_threads();
}

static inline int64_t blocks_of(int64_t total, int64_t size) { return (total + size - 1) / size; }
"""

_PRODUCT = (Path(__file__).parent / "cpu" / "product.h").read_text()


def runs_on_cpu() -> bool:
    """Whether operators created now are executed on the CPU."""
    return not jt.flags.use_cuda


def cpu_kernel(
    shapes: Sequence[Sequence[int]],
    inputs: Sequence[Var],
    source: str,
    data: dict[str, float] | None = None,
    *,
    product: bool = False,
    header: str = "",
) -> Any:
    """Run `source` on its inputs; it sees `in0_p`, `in0_shape0`, `out0_p`, `data["name"]`, ….

    The kernel is compiled once for all shapes. It has `threads_for` and `blocks_of`.

    Args:
        shapes: of the outputs, each float32.
        inputs: float32 arrays, or whatever else the source reads.
        source: the body of a C++ function.
        data: numbers for the source.
        product: the source has matrix products, `kernels/cpu/product.h`.
        header: more includes.

    Returns:
        One float32 Var, or a list for several outputs.
    """
    arguments: dict[str, Any] = {
        "inputs": list(inputs),
        "cpu_header": _HEADER + (_PRODUCT if product else "") + header,
        "cpu_src": source,
        "data": data or {},
    }
    if len(shapes) == 1:
        return jt.code(shape=list(shapes[0]), dtype="float32", **arguments)
    return jt.code(shapes=[list(s) for s in shapes], dtypes=["float32"] * len(shapes), **arguments)


def cuda_kernel(
    shapes: Sequence[Sequence[int]],
    dtypes: Sequence[str],
    inputs: Sequence[Var],
    file: str,
    call: str,
    data: dict[str, float] | None = None,
    *,
    cudnn: bool = False,
) -> list[Var]:
    """Run `call`, which starts kernels of a file in `kernels/cuda`.

    Args:
        shapes, dtypes: of the outputs.
        inputs: arrays on the card.
        file: name of the file, without its ending; Jittor compiles again where it has changed.
        call: C++ statements with the names of `cpu_kernel`, and `in0_type`, `out0_type`, ….
        data: numbers for the call.
        cudnn: link cuDNN.

    Returns:
        A Var for each output.
    """
    outputs = jt.code(
        shapes=[list(shape) for shape in shapes], dtypes=list(dtypes), inputs=list(inputs),
        cuda_header=f'#include "{file}.cuh"\n',
        cuda_src=call + "\nCHECK(0 == cudaGetLastError());\n",
        data=data or {},
    )
    if cudnn:
        outputs[0].compile_options = {_cudnn_flags(): 1}
    return list(outputs)


@cache
def _cudnn_flags() -> str:
    extern = Path(jt.flags.jittor_path) / "extern" / "cuda"
    libraries = Path(jt.compiler.cuda_home) / "lib64"
    return f"FLAGS: -I{extern / 'inc'} -I{extern / 'cudnn' / 'inc'} -L{libraries} -lcudnn "
