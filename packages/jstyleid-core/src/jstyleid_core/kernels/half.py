"""Half precision to single, fast: a checkpoint of SD 2.1 has 1.3 billion numbers to widen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.kernels.code import cpu_kernel
from jstyleid_core.runtime.jittor import Var, jt

# The conversion instruction is exact, subnormal numbers included; numpy converts in software. The
# compiler says whether the processor has the instruction. Without it the exponent is moved from a
# bias of 15 to one of 127; a subnormal number is a multiple of 2^-24.
_WIDEN = """
    const int64 n = in0->num;
    const unsigned short* x = (const unsigned short*)in0_p;
    auto widened = [](unsigned short half) {
        const unsigned sign = (half & 0x8000u) << 16;
        const unsigned exponent = half >> 10 & 31, rest = half & 1023;
        unsigned bits;
        if (exponent == 0) {
            const float magnitude = rest * 5.9604644775390625e-8f;
            std::memcpy(&bits, &magnitude, 4);
        } else
            bits = (exponent == 31 ? 255 : exponent + 112) << 23 | rest << 13;
        bits |= sign;
        float value;
        std::memcpy(&value, &bits, 4);
        return value;
    };
    #pragma omp parallel for num_threads(threads_for(20. * n))
    for (int64 block = 0; block < n; block += 65536) {
        const int64 end = std::min(n, block + 65536);
        int64 i = block;
#ifdef __F16C__
        for (; i + 8 <= end; i += 8)
            _mm256_storeu_ps(out_p + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(x + i))));
#endif
        for (; i < end; i++) out_p[i] = widened(x[i]);
    }
"""


def widen(values: NDArray[Any]) -> Var:
    """A float32 Var on the CPU of a float16 array, of its shape; exact."""
    with jt.flag_scope(reuse_array=1):
        bits = jt.array(values.view(np.int16))
    return cpu_kernel([values.shape], [bits], _WIDEN, header="#include <immintrin.h>\n")
