// nvcuda::wmma on the CPU: tensor cores by fragments of 16 x 16 x 16 numbers. A lane holds 8 numbers
// of a fragment. Which ones is left open by CUDA; here lane l has row l / 2, columns from 8 (l % 2).
#pragma once
#include "cuda_on_cpu/threads.h"

namespace nvcuda {
namespace wmma {

struct row_major {};
struct col_major {};
struct matrix_a {};
struct matrix_b {};
struct accumulator {};
enum layout_t { mem_row_major, mem_col_major };

template <class Use, int M, int N, int K, class T, class Layout = void>
struct fragment {
    static_assert(M == 16 && N == 16 && K == 16, "fragments of 16 x 16 x 16 numbers are emulated");
    static constexpr int num_elements = 8;
    T x[num_elements];
};

template <class F, class T>
inline void fill_fragment(F& f, T value) {
    for (auto& e : f.x) e = value;
}

namespace detail {

inline unsigned row() { return cuda_on_cpu::lane() / 2; }
inline unsigned column() { return cuda_on_cpu::lane() % 2 * 8; }

template <class P>
inline void check(const P* p, unsigned stride) {
    if ((size_t)p % 32) cuda_on_cpu::wrong("wmma at %p: not a multiple of 32 bytes", (const void*)p);
    if (stride * sizeof(P) % 16) cuda_on_cpu::wrong("wmma: rows of %u numbers are no multiple of 16 bytes", stride);
}

template <class F, class T>
inline void load(F& f, const T* p, unsigned stride, bool by_columns) {
    check(p, stride);
    cuda_on_cpu::wait_for_warp(0xffffffffu);
    for (unsigned j = 0; j < 8; j++) {
        const unsigned r = row(), c = column() + j;
        f.x[j] = by_columns ? p[c * stride + r] : p[r * stride + c];
    }
    cuda_on_cpu::wait_for_warp(0xffffffffu);
}

}  // namespace detail

template <class Use, class T>
inline void load_matrix_sync(fragment<Use, 16, 16, 16, T, row_major>& f, const T* p, unsigned stride) {
    detail::load(f, p, stride, false);
}
template <class Use, class T>
inline void load_matrix_sync(fragment<Use, 16, 16, 16, T, col_major>& f, const T* p, unsigned stride) {
    detail::load(f, p, stride, true);
}
template <class T>
inline void load_matrix_sync(fragment<accumulator, 16, 16, 16, T>& f, const T* p, unsigned stride,
                             layout_t layout) {
    detail::load(f, p, stride, layout == mem_col_major);
}

template <class T>
inline void store_matrix_sync(T* p, const fragment<accumulator, 16, 16, 16, T>& f, unsigned stride,
                              layout_t layout) {
    detail::check(p, stride);
    cuda_on_cpu::wait_for_warp(0xffffffffu);
    for (unsigned j = 0; j < 8; j++) {
        const unsigned r = detail::row(), c = detail::column() + j;
        p[layout == mem_col_major ? c * stride + r : r * stride + c] = f.x[j];
    }
    cuda_on_cpu::wait_for_warp(0xffffffffu);
}

// d = a b + c
template <class T, class A, class B>
inline void mma_sync(fragment<accumulator, 16, 16, 16, T>& d, const A& a, const B& b,
                     const fragment<accumulator, 16, 16, 16, T>& c) {
    using namespace cuda_on_cpu;
    struct Shown { float a[8], b[8]; };
    static_assert(sizeof(Shown) == 64, "as large as a lane's slot");
    Shown& mine = *(Shown*)slot(lane());
    for (unsigned j = 0; j < 8; j++) {
        mine.a[j] = (float)a.x[j];
        mine.b[j] = (float)b.x[j];
    }
    wait_for_warp(0xffffffffu);
    float sum[8] = {};
    for (unsigned k = 0; k < 16; k++) {
        const float left = ((const Shown*)slot(detail::row() * 2 + k / 8))->a[k % 8];
        const Shown& right = *(const Shown*)slot(k * 2 + detail::column() / 8);
        for (unsigned j = 0; j < 8; j++) sum[j] += left * right.b[j];
    }
    for (unsigned j = 0; j < 8; j++) d.x[j] = (T)((float)c.x[j] + sum[j]);
    wait_for_warp(0xffffffffu);
}

}  // namespace wmma
}  // namespace nvcuda
