// The gradients of attention, with the scores computed again from the log-sum-exp that the forward pass left
// (Dao et al. 2022, algorithm 4), in float32 sums.
//
// With P the weights, g the gradient of the output and D = rowsum(g * out):
//   dV = P^T g,  dP = g V^T,  dS = P * (dP - D) * scale,  dQ = dS K,  dK = dS^T Q.
// One kernel owns queries and walks over keys, the other owns keys and walks over queries: nothing is added by two
// blocks, so results repeat to the bit.
#pragma once
#include "attention.cuh"

namespace attention {

template <class T, int D> struct BackwardSizes {
    static constexpr int warps = 2, own = 16 * warps;      // rows that a block owns
    static constexpr int other = D > 128 ? (sizeof(T) == 2 ? 16 : 8) : sizeof(T) == 2 || D <= 80 ? 32 : 16;  // rows of a tile that it walks over
    static constexpr int stride = tile::padded<T>(D), score_stride = tile::padded<T>(other);
    static constexpr int bytes = sizeof(T) * (2 * (own + other) * stride + own * score_stride) + 8 * other;
    static_assert(bytes <= 65536, "a tile does not fit");
};

// D of the comment above, one warp a query and head: (batch, heads, queries).
template <class T>
__global__ void row_products(const T* __restrict__ grad, const T* __restrict__ out, float* __restrict__ products, int batch,
                             int queries, int heads, int d) {
    const int64_t row = (int64_t)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (row >= (int64_t)batch * queries * heads) return;
    const int head = row % heads;
    const int64_t token = row / heads;
    const T *g = grad + token * heads * d + head * d, *o = out + token * heads * d + head * d;
    float sum = 0.f;
    for (int i = threadIdx.x % 32; i < d; i += 32) sum += tile::to_float(g[i]) * tile::to_float(o[i]);
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    if (threadIdx.x % 32 == 0) products[(token / queries * heads + head) * queries + token % queries] = sum;
}

template <class T> __device__ inline void write(T* to, int64_t stride, int rows, int columns, const float* sums, int row, int column) {
    // sums: of rows `row` and `row + 8`, columns `column` and the next
    for (int i = 0; i < 4; i++)
        if (row + i / 2 * 8 < rows && column + i % 2 < columns)
            to[(row + i / 2 * 8) * stride + column + i % 2] = tile::from_float<T>(sums[i]);
}

template <class T, int D>
__global__ void __launch_bounds__(BackwardSizes<T, D>::warps * 32)
backward_query(const T* __restrict__ query, const T* __restrict__ key, const T* __restrict__ value, const T* __restrict__ grad,
               const float* __restrict__ lse, const float* __restrict__ products, T* __restrict__ query_grad, int queries,
               int keys, int heads, int d, bool shared, float scale, bool aligned) {
    using S = BackwardSizes<T, D>;
    constexpr int R = S::own, M = S::other;
    extern __shared__ __align__(16) unsigned char memory[];
    T* q = (T*)memory;
    T *g = q + R * S::stride, *k = g + R * S::stride, *v = k + M * S::stride;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    T* ds = v + M * S::stride + warp * 16 * S::score_stride;
    const int row0 = blockIdx.x * R, head = blockIdx.y, example = blockIdx.z, rows = min(R, queries - row0);
    const int64_t channels = (int64_t)heads * d;
    const int64_t at = ((int64_t)example * queries + row0) * channels + head * d;
    const int64_t keys_at = (shared ? 0 : (int64_t)example * keys) * channels + head * d;
    tile::load<R, D>(q, query + at, channels, rows, d, aligned);
    tile::load<R, D>(g, grad + at, channels, rows, d, aligned);
    float row_lse[2], row_product[2];
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int row = warp * 16 + lane / 4 + 8 * i;
        const int64_t where = ((int64_t)example * heads + head) * queries + row0 + row;
        row_lse[i] = row < rows ? lse[where] : 0.f;
        row_product[i] = row < rows ? products[where] : 0.f;
    }
    float dq[D / 8][4], s[M / 8][4], dp[M / 8][4];
    tile::clear(dq);
    for (int first = 0; first < keys; first += M) {
        const int tokens = min(M, keys - first);
        __syncthreads();
        tile::load<M, D>(k, key + keys_at + first * channels, channels, tokens, d, aligned);
        tile::load<M, D>(v, value + keys_at + first * channels, channels, tokens, d, aligned);
        __pipeline_commit();
        __pipeline_wait_prior(0);
        __syncthreads();
        tile::clear(s);
        tile::clear(dp);
        tile::multiply_transposed<M, D>(s, q + warp * 16 * S::stride, S::stride, k, S::stride, lane);
        tile::multiply_transposed<M, D>(dp, g + warp * 16 * S::stride, S::stride, v, S::stride, lane);
#pragma unroll
        for (int j = 0; j < M / 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const bool there = 8 * j + lane % 4 * 2 + i % 2 < tokens;
                const float p = there ? expf(s[j][i] * scale - row_lse[i / 2]) : 0.f;
                s[j][i] = p * (dp[j][i] - row_product[i / 2]) * scale;
            }
        tile::store<M>(ds, S::score_stride, s, lane);
        __syncwarp();
        tile::multiply<D, M>(dq, ds, S::score_stride, k, S::stride, lane);
    }
#pragma unroll
    for (int j = 0; j < D / 8; j++)
        write(query_grad + at, channels, rows, d, dq[j], warp * 16 + lane / 4, 8 * j + lane % 4 * 2);
}

template <class T, int D>
__global__ void __launch_bounds__(BackwardSizes<T, D>::warps * 32)
backward_key(const T* __restrict__ query, const T* __restrict__ key, const T* __restrict__ value, const T* __restrict__ grad,
             const float* __restrict__ lse, const float* __restrict__ products, T* __restrict__ key_grad,
             T* __restrict__ value_grad, int batch, int queries, int keys, int heads, int d, bool shared, float scale,
             bool aligned) {
    using S = BackwardSizes<T, D>;
    constexpr int R = S::own, N = S::other;
    extern __shared__ __align__(16) unsigned char memory[];
    T* k = (T*)memory;
    T *v = k + R * S::stride, *q = v + R * S::stride, *g = q + N * S::stride;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    T* p = g + N * S::stride;
    float *tile_lse = (float*)(p + R * S::score_stride), *tile_product = tile_lse + N;
    p += warp * 16 * S::score_stride;
    const int row0 = blockIdx.x * R, head = blockIdx.y, example = blockIdx.z, rows = min(R, keys - row0);
    const int64_t channels = (int64_t)heads * d;
    const int64_t at = ((int64_t)example * keys + row0) * channels + head * d;
    tile::load<R, D>(k, key + at, channels, rows, d, aligned);
    tile::load<R, D>(v, value + at, channels, rows, d, aligned);
    float dk[D / 8][4], dv[D / 8][4], s[N / 8][4];
    tile::clear(dk);
    tile::clear(dv);
    const int first_example = shared ? 0 : example, end_example = shared ? batch : example + 1;
    for (int b = first_example; b < end_example; b++)
        for (int first = 0; first < queries; first += N) {
            const int tokens = min(N, queries - first);
            const int64_t queries_at = ((int64_t)b * queries + first) * channels + head * d;
            const int64_t where = ((int64_t)b * heads + head) * queries + first;
            __syncthreads();
            tile::load<N, D>(q, query + queries_at, channels, tokens, d, aligned);
            tile::load<N, D>(g, grad + queries_at, channels, tokens, d, aligned);
            __pipeline_commit();
            for (int i = threadIdx.x; i < N; i += blockDim.x) {
                tile_lse[i] = i < tokens ? lse[where + i] : 0.f;
                tile_product[i] = i < tokens ? products[where + i] : 0.f;
            }
            __pipeline_wait_prior(0);
            __syncthreads();
            tile::clear(s);
            tile::multiply_transposed<N, D>(s, k + warp * 16 * S::stride, S::stride, q, S::stride, lane);
#pragma unroll
            for (int j = 0; j < N / 8; j++)
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const int column = 8 * j + lane % 4 * 2 + i % 2;
                    s[j][i] = column < tokens ? expf(s[j][i] * scale - tile_lse[column]) : 0.f;
                }
            tile::store<N>(p, S::score_stride, s, lane);
            __syncwarp();
            tile::multiply<D, N>(dv, p, S::score_stride, g, S::stride, lane);
            float dp[N / 8][4];
            tile::clear(dp);
            tile::multiply_transposed<N, D>(dp, v + warp * 16 * S::stride, S::stride, g, S::stride, lane);
#pragma unroll
            for (int j = 0; j < N / 8; j++)
#pragma unroll
                for (int i = 0; i < 4; i++)
                    s[j][i] *= (dp[j][i] - tile_product[8 * j + lane % 4 * 2 + i % 2]) * scale;
            __syncwarp();
            tile::store<N>(p, S::score_stride, s, lane);
            __syncwarp();
            tile::multiply<D, N>(dk, p, S::score_stride, q, S::stride, lane);
        }
#pragma unroll
    for (int j = 0; j < D / 8; j++) {
        write(key_grad + at, channels, rows, d, dk[j], warp * 16 + lane / 4, 8 * j + lane % 4 * 2);
        write(value_grad + at, channels, rows, d, dv[j], warp * 16 + lane / 4, 8 * j + lane % 4 * 2);
    }
}

template <class T, int D>
void run_backward(const T* query, const T* key, const T* value, const T* out, const float* lse, const T* grad, T* query_grad,
                  T* key_grad, T* value_grad, float* products, int batch, int queries, int keys, int heads, int d, bool shared,
                  float scale) {
    using S = BackwardSizes<T, D>;
    const bool aligned = d * sizeof(T) % 16 == 0;
    const int64_t rows = (int64_t)batch * queries * heads;
    row_products<T><<<(rows + 7) / 8, 256>>>(grad, out, products, batch, queries, heads, d);
    if (S::bytes > shared_by_default) {
        cudaFuncSetAttribute(backward_query<T, D>, cudaFuncAttributeMaxDynamicSharedMemorySize, S::bytes);
        cudaFuncSetAttribute(backward_key<T, D>, cudaFuncAttributeMaxDynamicSharedMemorySize, S::bytes);
    }
    backward_query<T, D><<<dim3((queries + S::own - 1) / S::own, heads, batch), S::warps * 32, S::bytes>>>(
        query, key, value, grad, lse, products, query_grad, queries, keys, heads, d, shared, scale, aligned);
    backward_key<T, D><<<dim3((keys + S::own - 1) / S::own, heads, shared ? 1 : batch), S::warps * 32, S::bytes>>>(
        query, key, value, grad, lse, products, key_grad, value_grad, batch, queries, keys, heads, d, shared, scale, aligned);
}

}  // namespace attention
