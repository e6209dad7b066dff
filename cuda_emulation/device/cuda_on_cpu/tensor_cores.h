// Tensor cores by their PTX instructions, with each lane's share of the matrices as PTX lays it out
// ("Matrix Fragments for mma.m16n8k16 with floating point type", "ldmatrix" in the PTX manual).
// A kernel calls these where its inline PTX stands:
//
//     #ifndef CUDA_ON_CPU
//         asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 …");
//     #else
//         cuda_on_cpu::mma16816_f16(d, a, b);
//     #endif
#pragma once
#include "halves.h"
#include "threads.h"

namespace cuda_on_cpu {

// The two 16-bit numbers of a register, the lower one first.
template <class Format>
inline float number(unsigned word, unsigned i) {
    return Format::widen((uint16_t)(word >> 16 * i));
}

// d (16, 8) += a (16, 16) b (16, 8), by all lanes of a warp together. With g = lane / 4 and
// t = lane % 4 a lane holds
//     d: rows g, g + 8; columns 2t, 2t + 1        (d[2 * i + j]: row g + 8i, column 2t + j)
//     a: rows g, g + 8; columns 2t, 2t + 1, 2t + 8, 2t + 9   (a[i + 2 * j]: row g + 8i, from 2t + 8j)
//     b: column g; rows 2t, 2t + 1, 2t + 8, 2t + 9           (b[j]: from row 2t + 8j)
template <class Format>
inline void mma16816(float* d, const unsigned* a, const unsigned* b) {
    const unsigned everyone = 0xffffffffu, me = lane(), g = me / 4, t = me % 4;
    unsigned* const shown = (unsigned*)slot(me);
    for (int i = 0; i < 4; i++) shown[i] = a[i];
    for (int i = 0; i < 2; i++) shown[4 + i] = b[i];
    wait_for_warp(everyone);
    for (unsigned row = 0; row < 2; row++)
        for (unsigned column = 0; column < 2; column++) {
            float sum = 0;
            for (unsigned k = 0; k < 16; k++) {
                const unsigned holder = k % 8 / 2, part = k / 8;
                const unsigned* const of_a = (const unsigned*)slot(g * 4 + holder);
                const unsigned* const of_b = (const unsigned*)slot((2 * t + column) * 4 + holder);
                sum += number<Format>(of_a[row + 2 * part], k % 2) * number<Format>(of_b[4 + part], k % 2);
            }
            d[2 * row + column] += sum;
        }
    wait_for_warp(everyone);
}

inline void mma16816_f16(float d[4], const unsigned a[4], const unsigned b[2]) { mma16816<Half>(d, a, b); }
inline void mma16816_bf16(float d[4], const unsigned a[4], const unsigned b[2]) {
    mma16816<BFloat16>(d, a, b);
}

// `count` matrices of 8 x 8 16-bit numbers from shared memory. Lane 8m + r names the address of row
// r of matrix m; r[m] of a lane gets row lane / 4, columns 2 * (lane % 4) and the next of matrix m,
// or of its transpose.
inline void ldmatrix(unsigned* r, const void* row, unsigned count, bool transposed) {
    const unsigned everyone = 0xffffffffu, me = lane();
    if (me < 8 * count && (size_t)row % 16) wrong("ldmatrix from %p: not a multiple of 16", row);
    *(const uint16_t**)slot(me) = (const uint16_t*)row;
    wait_for_warp(everyone);
    for (unsigned m = 0; m < count; m++) {
        uint16_t pair[2];
        for (unsigned j = 0; j < 2; j++) {
            const unsigned i = me / 4, k = 2 * (me % 4) + j;
            const uint16_t* const from = *(const uint16_t**)slot(8 * m + (transposed ? k : i));
            pair[j] = from[transposed ? i : k];
        }
        r[m] = pair[0] | (unsigned)pair[1] << 16;
    }
    wait_for_warp(everyone);
}

inline void ldmatrix_x1(unsigned r[1], const void* row) { ldmatrix(r, row, 1, false); }
inline void ldmatrix_x2(unsigned r[2], const void* row) { ldmatrix(r, row, 2, false); }
inline void ldmatrix_x4(unsigned r[4], const void* row) { ldmatrix(r, row, 4, false); }
inline void ldmatrix_x1_trans(unsigned r[1], const void* row) { ldmatrix(r, row, 1, true); }
inline void ldmatrix_x2_trans(unsigned r[2], const void* row) { ldmatrix(r, row, 2, true); }
inline void ldmatrix_x4_trans(unsigned r[4], const void* row) { ldmatrix(r, row, 4, true); }

}  // namespace cuda_on_cpu
