// wmma, and the instructions mma.m16n8k16 and ldmatrix as kernels write them.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>

#include "output.h"

__device__ void mma16816(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#ifndef CUDA_ON_CPU
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    cuda_on_cpu::mma16816_f16(d, a, b);
#endif
}

__device__ void mma16816_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#ifndef CUDA_ON_CPU
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    cuda_on_cpu::mma16816_bf16(d, a, b);
#endif
}

__device__ void ldmatrix_x4(unsigned (&r)[4], const void* row, bool transposed) {
#ifndef CUDA_ON_CPU
    const unsigned at = (unsigned)__cvta_generic_to_shared(row);
    if (transposed)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
#else
    transposed ? cuda_on_cpu::ldmatrix_x4_trans(r, row) : cuda_on_cpu::ldmatrix_x4(r, row);
#endif
}

// One product of a (16, 16) and b (16, 8), each lane filling its registers by PTX's tables.
template <class T>
__global__ void product_by_tables(const T* a, const T* b, float* out, bool bfloat) {
    const int lane = threadIdx.x, g = lane / 4, t = lane % 4;
    unsigned ra[4], rb[2];
    float d[4];
    const auto word = [](T low, T high) {
        T pair[2] = {low, high};
        return *(unsigned*)pair;
    };
    for (int i = 0; i < 4; i++) {
        const int row = g + (i % 2) * 8, column = 2 * t + (i / 2) * 8;
        ra[i] = word(a[row * 16 + column], a[row * 16 + column + 1]);
    }
    for (int i = 0; i < 2; i++) {
        const int row = 2 * t + i * 8;
        rb[i] = word(b[row * 8 + g], b[(row + 1) * 8 + g]);
    }
    for (int i = 0; i < 4; i++) d[i] = 0.5f;
    if (bfloat) mma16816_bf16(d, ra, rb); else mma16816(d, ra, rb);
    for (int i = 0; i < 4; i++) out[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

// The same through shared memory and ldmatrix; b is stored (16, 8), so its columns need a transpose.
__global__ void product_by_ldmatrix(const __half* a, const __half* b, float* out) {
    __shared__ alignas(16) __half sa[16 * 16];
    __shared__ alignas(16) __half sb[16 * 8];
    for (int i = threadIdx.x; i < 256; i += 32) sa[i] = a[i];
    for (int i = threadIdx.x; i < 128; i += 32) sb[i] = b[i];
    __syncthreads();
    const int lane = threadIdx.x, g = lane / 4, t = lane % 4;
    unsigned ra[4], all[4];
    ldmatrix_x4(ra, sa + (lane % 16) * 16 + lane / 16 * 8, false);
    ldmatrix_x4(all, sb + (lane % 16) * 8, true);
    const unsigned rb[2] = {all[0], all[1]};
    float d[4] = {0.5f, 0.5f, 0.5f, 0.5f};
    mma16816(d, ra, rb);
    for (int i = 0; i < 4; i++) out[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

// c (16, 16) = 2 (a b) with b stored by columns; two warps, each with its own copy.
__global__ void product_by_wmma(const __half* a, const __half* b, float* out) {
    using namespace nvcuda;
    __shared__ __align__(32) __half s[2][2][16 * 24];
    __shared__ __align__(32) float c[2][16 * 20];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int i = lane; i < 256; i += 32) {
        s[warp][0][i / 16 * 24 + i % 16] = a[i];
        s[warp][1][i / 16 * 24 + i % 16] = b[i];
    }
    __syncwarp();
    wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> fa;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::col_major> fb;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> fc;
    wmma::load_matrix_sync(fa, s[warp][0], 24);
    wmma::load_matrix_sync(fb, s[warp][1], 24);
    wmma::fill_fragment(fc, 0.f);
    wmma::mma_sync(fc, fa, fb, fc);
    for (int i = 0; i < fc.num_elements; i++) fc.x[i] *= 2;
    wmma::store_matrix_sync(c[warp], fc, 20, wmma::mem_row_major);
    __syncwarp();
    for (int i = lane; i < 256; i += 32) out[warp * 256 + i] = c[warp][i / 16 * 20 + i % 16];
}

template <class T>
std::vector<T> narrowed(int n, int seed) {
    std::vector<T> out;
    for (int i = 0; i < n; i++) out.push_back(T((float)((i * 7 + seed) % 23 - 11) / 8.f));
    return out;
}

int main() {
    Array<__half> a(narrowed<__half>(256, 1)), b(narrowed<__half>(128, 2)), c(narrowed<__half>(256, 3));
    Array<__nv_bfloat16> wide_a(narrowed<__nv_bfloat16>(256, 1)), wide_b(narrowed<__nv_bfloat16>(128, 2));
    Array<float> out(128), wmma(512);
    product_by_tables<<<1, 32>>>(a.device, b.device, out.device, false);
    show("tables", out.down());
    product_by_tables<<<1, 32>>>(wide_a.device, wide_b.device, out.device, true);
    show("tables_bfloat16", out.down());
    product_by_ldmatrix<<<1, 32>>>(a.device, b.device, out.device);
    show("ldmatrix", out.down());
    product_by_wmma<<<1, 64>>>(a.device, c.device, wmma.device);
    show("wmma", wmma.down());
    must(cudaGetLastError());
}
