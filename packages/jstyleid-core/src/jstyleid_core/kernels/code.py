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

// How many threads share so many floating-point operations: waking a second one takes tens of
// microseconds, so small work stays on one. Never a number between: OpenMP ends and starts threads
// when it changes.
static inline int threads_for(double operations) {
    return operations < 2e6 ? 1 : omp_get_max_threads();
}

static inline int64_t blocks_of(int64_t total, int64_t size) { return (total + size - 1) / size; }
"""

_PRODUCT = """
#include <atomic>
#include <dnnl.h>

// C = alpha op(A) op(B) + beta C of row-major matrices, on the calling thread alone: oneDNN would
// divide the sums by the number of threads, and with it change the last bits. It looks at the
// team around the call, which may be of one thread, so its own number is set as well.
struct Product {
    std::atomic<bool> failed{false};

    void operator()(char a_op, char b_op, int64_t m, int64_t n, int64_t k, float alpha,
                    const float* a, int64_t lda, const float* b, int64_t ldb,
                    float beta, float* c, int64_t ldc) {
        const int threads = omp_get_max_threads();
        omp_set_num_threads(1);
        if (dnnl_sgemm(a_op, b_op, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) != dnnl_success)
            failed = true;
        omp_set_num_threads(threads);
    }

    // After the parallel region, which no exception may leave.
    void check() const { ASSERT(!failed) << "oneDNN found no memory for a matrix product"; }
};
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

    The kernel is compiled once for all shapes. It has `threads_for` and `blocks_of`.

    Args:
        shapes: of the outputs, each float32.
        inputs: float32 arrays, or whatever else the source reads.
        source: the body of a C++ function.
        data: numbers for the source.
        dnnl: link oneDNN; the source has `Product`.
        header: more includes.

    Returns:
        One float32 Var, or a list for several outputs.
    """
    arguments: dict[str, Any] = {
        "inputs": list(inputs),
        "cpu_header": _HEADER + (_PRODUCT if dnnl else "") + header,
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


@cache
def _dnnl_flags() -> str:
    from jstyleid_core.runtime.onednn import find

    library = find()
    return f"FLAGS: -I{library.include} -L{library.lib} -lmkldnn "
