// The matrix product on which the stand-ins of cuBLAS and cuDNN rest.
#pragma once
#include <algorithm>
#include <vector>

#include "elements.h"

namespace emulation {

// How sums of products are kept: as floats, or rounded to half after each 16 products, as tensor
// cores do where a library is asked for a half-precision computation.
enum class Sums { FLOAT, HALF };

// C (m, n) = A (m, k) B (k, n); all row by row and without gaps.
inline void product(long m, long n, long k, const float* a, const float* b, float* c, Sums sums) {
    const long ROWS = 4, STEP = sums == Sums::HALF ? 16 : 256;
#pragma omp parallel for schedule(dynamic) if ((double)m * n * k > 1e5)
    for (long first = 0; first < m; first += ROWS) {
        const long last = std::min(m, first + ROWS);
        std::fill(c + first * n, c + last * n, 0.f);
        std::vector<float> part(n);
        for (long l0 = 0; l0 < k; l0 += STEP)
            for (long i = first; i < last; i++) {
                float* const to = sums == Sums::HALF ? part.data() : c + i * n;
                if (sums == Sums::HALF) std::fill(part.begin(), part.end(), 0.f);
                for (long l = l0; l < std::min(k, l0 + STEP); l++) {
                    const float factor = a[i * k + l];
                    const float* const row = b + l * n;
                    for (long j = 0; j < n; j++) to[j] += factor * row[j];
                }
                if (sums == Sums::HALF)
                    for (long j = 0; j < n; j++) c[i * n + j] = round_to_half(c[i * n + j] + to[j]);
            }
    }
}

}  // namespace emulation
