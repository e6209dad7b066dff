"""Half precision to single, fast: a checkpoint of SD 2.1 has 1.3 billion numbers to widen."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.kernels.code import cpu_kernel, runs_on_cpu
from jstyleid_core.runtime.jittor import Var, jt

# The conversion instruction is exact, subnormal numbers included; numpy converts in software.
_WIDEN = """
    const int64 n = in0->num;
    const unsigned short* x = (const unsigned short*)in0_p;
    #pragma omp parallel for
    for (int64 block = 0; block < n; block += 65536) {
        const int64 end = std::min(n, block + 65536);
        int64 i = block;
        for (; i + 8 <= end; i += 8)
            _mm256_storeu_ps(out_p + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(x + i))));
        for (; i < end; i++) out_p[i] = _cvtsh_ss(x[i]);
    }
"""


def widen(values: NDArray[Any]) -> Var:
    """A float32 Var of a float16 array, of its shape; exact."""
    if not runs_on_cpu() or not _has_conversion_instruction():
        return jt.array(values.astype(np.float32))
    with jt.flag_scope(reuse_array=1):
        bits = jt.array(values.view(np.int16))
    return cpu_kernel([values.shape], [bits], _WIDEN, header="#include <immintrin.h>\n")


@cache
def _has_conversion_instruction() -> bool:
    with open("/proc/cpuinfo") as info:
        return any(line.startswith("flags") and " f16c" in line for line in info)
