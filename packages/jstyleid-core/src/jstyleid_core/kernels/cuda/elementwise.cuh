// The gated GELU, the exchange of channels and tokens, and feature maps side by side.
#pragma once
#include "tile.cuh"

namespace elementwise {

__device__ inline float normal_cdf(float x) { return 0.5f * (1.f + erff(x * 0.70710678f)); }

// x is (rows, 2 n): hidden and gate side by side; y = hidden * GELU(gate).
template <class T> __global__ void gelu_gate(const T* __restrict__ x, T* __restrict__ y, int64_t rows, int n) {
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < rows * n; i += (int64_t)gridDim.x * blockDim.x) {
        const int64_t at = i / n * 2 * n + i % n;
        const float gate = tile::to_float(x[at + n]);
        y[i] = tile::from_float<T>(tile::to_float(x[at]) * gate * normal_cdf(gate));
    }
}

template <class T>
__global__ void gelu_gate_backward(const T* __restrict__ x, const T* __restrict__ grad, T* __restrict__ dx, int64_t rows, int n) {
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < rows * n; i += (int64_t)gridDim.x * blockDim.x) {
        const int64_t at = i / n * 2 * n + i % n;
        const float hidden = tile::to_float(x[at]), gate = tile::to_float(x[at + n]), g = tile::to_float(grad[i]);
        const float cdf = normal_cdf(gate), density = 0.39894228f * expf(-0.5f * gate * gate);
        dx[at] = tile::from_float<T>(g * gate * cdf);
        dx[at + n] = tile::from_float<T>(g * hidden * (cdf + gate * density));
    }
}

// (batch, rows, columns) to (batch, columns, rows), through tiles of 32 x 32 in shared memory.
template <class T> __global__ void swap(const T* __restrict__ x, T* __restrict__ y, int rows, int columns) {
    __shared__ T square[32][33];
    const int64_t example = (int64_t)blockIdx.z * rows * columns;
    const int column0 = blockIdx.x * 32, row0 = blockIdx.y * 32;
    for (int i = threadIdx.y; i < 32; i += 8)
        if (row0 + i < rows && column0 + threadIdx.x < columns)
            square[i][threadIdx.x] = x[example + (int64_t)(row0 + i) * columns + column0 + threadIdx.x];
    __syncthreads();
    for (int i = threadIdx.y; i < 32; i += 8)
        if (column0 + i < columns && row0 + threadIdx.x < rows)
            y[example + (int64_t)(column0 + i) * rows + row0 + threadIdx.x] = square[threadIdx.x][i];
}

// A row of `first` and a row of `second` pieces, side by side in y.
template <class P>
__global__ void join(const P* __restrict__ x, const P* __restrict__ y, P* __restrict__ out, int64_t rows, int64_t first, int64_t second) {
    const int64_t width = first + second;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < rows * width; i += (int64_t)gridDim.x * blockDim.x) {
        const int64_t row = i / width, at = i % width;
        out[i] = at < first ? x[row * first + at] : y[row * second + at - first];
    }
}

inline int blocks(int64_t n) { return (int)((n + 255) / 256 < 4096 ? (n + 255) / 256 : 4096); }

template <class T> void run_gelu_gate(const T* x, T* y, int64_t rows, int n) {
    gelu_gate<T><<<blocks(rows * n), 256>>>(x, y, rows, n);
}

template <class T> void run_gelu_gate_backward(const T* x, const T* grad, T* dx, int64_t rows, int n) {
    gelu_gate_backward<T><<<blocks(rows * n), 256>>>(x, grad, dx, rows, n);
}

template <class T> void run_swap(const T* x, T* y, int batch, int rows, int columns) {
    swap<T><<<dim3((columns + 31) / 32, (rows + 31) / 32, batch), dim3(32, 8)>>>(x, y, rows, columns);
}

// Pieces of 16 bytes where both widths allow it.
template <class T> void run_join(const T* x, const T* y, T* out, int64_t rows, int64_t first, int64_t second) {
    constexpr int V = 16 / sizeof(T);
    if (first % V || second % V) join<T><<<blocks(rows * (first + second)), 256>>>(x, y, out, rows, first, second);
    else join<int4><<<blocks(rows * (first + second) / V), 256>>>((const int4*)x, (const int4*)y, (int4*)out, rows, first / V, second / V);
}

}  // namespace elementwise
