// Products of small matrices in shared memory, by one warp: on tensor cores for half precision, in float32 for float.
//
// A warp multiplies 16 rows. Its sums lie in registers as the tensor cores leave them (PTX, mma.m16n8k16): of the
// eight columns from 8 j on, lane l holds c[j][0..1] in row l / 4 and c[j][2..3] in row l / 4 + 8, both in columns
// 2 (l % 4) and 2 (l % 4) + 1. Float32 uses the same layout, so that kernels are written once for all types.
#pragma once
#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_pipeline.h>

namespace tile {

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(__half x) { return __half2float(x); }
__device__ inline float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <class T> __device__ inline T from_float(float x);
template <> __device__ inline float from_float<float>(float x) { return x; }
template <> __device__ inline __half from_float<__half>(float x) { return __float2half_rn(x); }
template <> __device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float x) { return __float2bfloat16_rn(x); }

// Rows are padded by 16 bytes: then the rows that a warp reads at once lie in different banks.
template <class T> constexpr int padded(int columns) { return columns + 16 / (int)sizeof(T); }

#ifndef CUDA_ON_CPU
__device__ inline void ldmatrix(unsigned (&r)[4], const void* row) {
    const unsigned at = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
}

__device__ inline void ldmatrix_transposed(unsigned (&r)[4], const void* row) {
    const unsigned at = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
}
#endif

// d += a b of 16 x 16 and 16 x 8 numbers.
__device__ inline void mma(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, __half) {
#if defined(CUDA_ON_CPU)
    const unsigned b[2] = {b0, b1};
    cuda_on_cpu::mma16816_f16(d, a, b);
#elif __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    // Compute capability 7.5 takes eight numbers a row at a time.
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
}

__device__ inline void mma(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, __nv_bfloat16) {
#if defined(CUDA_ON_CPU)
    const unsigned b[2] = {b0, b1};
    cuda_on_cpu::mma16816_bf16(d, a, b);
#elif __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    __trap();  // bfloat16 begins with compute capability 8.0; the caller refuses it before
#endif
}

// The operands of 16 x 16 numbers of `a` (16 rows) from column k on.
template <class T> __device__ inline void load_a(unsigned (&r)[4], const T* a, int stride, int k, int lane) {
#ifdef CUDA_ON_CPU
    const int row = lane / 4, column = k + lane % 4 * 2;
    for (int i = 0; i < 4; i++)
        r[i] = *(const unsigned*)(a + (row + i % 2 * 8) * stride + column + i / 2 * 8);
#else
    ldmatrix(r, a + (lane % 16) * stride + k + lane / 16 * 8);
#endif
}

// Of 16 rows of `b` from row n on, 16 columns from k on: the operands of b^T.
template <class T> __device__ inline void load_bt(unsigned (&r)[4], const T* b, int stride, int n, int k, int lane) {
#ifdef CUDA_ON_CPU
    for (int i = 0; i < 4; i++)
        r[i] = *(const unsigned*)(b + (n + lane / 4 + i / 2 * 8) * stride + k + i % 2 * 8 + lane % 4 * 2);
#else
    ldmatrix(r, b + (n + lane % 8 + lane / 16 * 8) * stride + k + lane / 8 % 2 * 8);
#endif
}

// Of 16 rows of `b` from row k on, 16 columns from n on: the operands of b.
template <class T> __device__ inline void load_b(unsigned (&r)[4], const T* b, int stride, int k, int n, int lane) {
#ifdef CUDA_ON_CPU
    for (int i = 0; i < 4; i++) {
        const T* at = b + (k + i % 2 * 8 + lane % 4 * 2) * stride + n + i / 2 * 8 + lane / 4;
        r[i] = *(const uint16_t*)at | (unsigned)*(const uint16_t*)(at + stride) << 16;
    }
#else
    ldmatrix_transposed(r, b + (k + lane % 16) * stride + n + lane / 16 * 8);
#endif
}

// c += a b^T: a is 16 x K, b is N x K.
template <int N, int K, class T>
__device__ inline void multiply_transposed(float (&c)[N / 8][4], const T* a, int a_stride, const T* b, int b_stride, int lane) {
    if constexpr (sizeof(T) == 2) {
#pragma unroll
        for (int k = 0; k < K; k += 16) {
            unsigned x[4], y[4];
            load_a(x, a, a_stride, k, lane);
#pragma unroll
            for (int n = 0; n < N; n += 16) {
                load_bt(y, b, b_stride, n, k, lane);
                mma(c[n / 8], x, y[0], y[1], T());
                mma(c[n / 8 + 1], x, y[2], y[3], T());
            }
        }
    } else {
        const T *upper = a + lane / 4 * a_stride, *lower = upper + 8 * a_stride, *left = b + lane % 4 * 2 * b_stride;
#pragma unroll 2
        for (int k = 0; k < K; k += 4) {
            const float4 u = *(const float4*)(upper + k), v = *(const float4*)(lower + k);
#pragma unroll
            for (int j = 0; j < N / 8; j++) {
                const float4 p = *(const float4*)(left + 8 * j * b_stride + k);
                const float4 q = *(const float4*)(left + (8 * j + 1) * b_stride + k);
                c[j][0] += u.x * p.x + u.y * p.y + u.z * p.z + u.w * p.w;
                c[j][1] += u.x * q.x + u.y * q.y + u.z * q.z + u.w * q.w;
                c[j][2] += v.x * p.x + v.y * p.y + v.z * p.z + v.w * p.w;
                c[j][3] += v.x * q.x + v.y * q.y + v.z * q.z + v.w * q.w;
            }
        }
    }
}

// c += a b: a is 16 x K, b is K x N.
template <int N, int K, class T>
__device__ inline void multiply(float (&c)[N / 8][4], const T* a, int a_stride, const T* b, int b_stride, int lane) {
    if constexpr (sizeof(T) == 2) {
#pragma unroll
        for (int k = 0; k < K; k += 16) {
            unsigned x[4], y[4];
            load_a(x, a, a_stride, k, lane);
#pragma unroll
            for (int n = 0; n < N; n += 16) {
                load_b(y, b, b_stride, k, n, lane);
                mma(c[n / 8], x, y[0], y[1], T());
                mma(c[n / 8 + 1], x, y[2], y[3], T());
            }
        }
    } else {
        const T *upper = a + lane / 4 * a_stride, *lower = upper + 8 * a_stride, *left = b + lane % 4 * 2;
#pragma unroll 4
        for (int k = 0; k < K; k++) {
            const float u = upper[k], v = lower[k];
#pragma unroll
            for (int j = 0; j < N / 8; j++) {
                const float2 p = *(const float2*)(left + k * b_stride + 8 * j);
                c[j][0] += u * p.x;
                c[j][1] += u * p.y;
                c[j][2] += v * p.x;
                c[j][3] += v * p.y;
            }
        }
    }
}

template <int N> __device__ inline void clear(float (&c)[N][4]) {
#pragma unroll
    for (int j = 0; j < N; j++)
        c[j][0] = c[j][1] = c[j][2] = c[j][3] = 0.f;
}

// Two numbers side by side in a register, rounded to T.
template <class T> __device__ inline unsigned pack(float x, float y) {
    T pair[2] = {from_float<T>(x), from_float<T>(y)};
    unsigned packed;
    memcpy(&packed, pair, 4);
    return packed;
}

// Two numbers side by side, rounded to T.
template <class T> __device__ inline void put(T* at, float x, float y) {
    if constexpr (sizeof(T) == 4) *(float2*)at = make_float2(x, y);
    else *(unsigned*)at = pack<T>(x, y);
}

// The sums of a warp into its 16 rows of shared memory.
template <int N, class T> __device__ inline void store(T* to, int stride, const float (&c)[N / 8][4], int lane) {
#pragma unroll
    for (int j = 0; j < N / 8; j++) {
        T* at = to + lane / 4 * stride + 8 * j + lane % 4 * 2;
        put(at, c[j][0], c[j][1]);
        put(at + 8 * stride, c[j][2], c[j][3]);
    }
}

// Starts to copy rows of up to `Columns` numbers from global to shared memory; rows and columns beyond `rows` and
// `columns` become zero. The copy is complete after __pipeline_commit, __pipeline_wait_prior and a barrier.
template <int Rows, int Columns, class T>
__device__ inline void load(T* to, const T* from, int64_t stride, int rows, int columns, bool aligned) {
    constexpr int V = 16 / sizeof(T), Stride = Columns + V;
    for (int i = threadIdx.x; i < Rows * (Columns / V); i += blockDim.x) {
        const int row = i / (Columns / V), column = i % (Columns / V) * V;
        T* at = to + row * Stride + column;
        const T* source = from + row * stride + column;
        if (row < rows && column + V <= columns && aligned) __pipeline_memcpy_async(at, source, 16);
        else
#pragma unroll
            for (int j = 0; j < V; j++)
                at[j] = row < rows && column + j < columns ? source[j] : from_float<T>(0.f);
    }
}

// Of the four lanes that share a row.
__device__ inline float row_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

__device__ inline float row_sum(float x) {
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

}  // namespace tile
