// Attention without a matrix of scores in memory (Dao et al. 2022, algorithm 1): softmax(scale Q K^T) V, head by head.
//
// A block computes 64 queries of one head. It walks over tiles of keys with a running maximum and sum for each query;
// scores, sums and results stay in float32. Heads are addressed by strides in (batch, tokens, channels).
#pragma once
#include "tile.cuh"

namespace attention {

constexpr int shared_by_default = 48 << 10;  // bytes of shared memory that a block has without being allowed more

// Keys and values. A batch of 1 serves all examples.
template <class T> struct Segment {
    const T *key, *value;
    int tokens;
    bool shared;
    float scale;
};

// Sizes of tiles for heads of up to D numbers: `chunk` columns are in shared memory at a time, and at most 64 KB in
// all, which every card has.
template <class T, int D> struct Sizes {
    static constexpr bool half = sizeof(T) == 2;
    static constexpr int warps = 4, rows = 16 * warps;
    static constexpr int chunk = half ? (D <= 160 ? D : 128) : (D <= 80 ? D : D == 160 ? 80 : 64);
    static constexpr int keys = half && chunk < 128 ? 64 : 32;
    static constexpr int stride = tile::padded<T>(chunk), score_stride = tile::padded<T>(keys);
    static constexpr int bytes = sizeof(T) * ((rows + 2 * keys) * stride + rows * score_stride);
    static_assert(D % chunk == 0 && bytes <= 65536, "a tile does not fit");
};

template <class T, int D>
__global__ void __launch_bounds__(Sizes<T, D>::warps * 32, 2)
forward(const T* __restrict__ query, Segment<T> first, Segment<T> second, T* __restrict__ out, float* __restrict__ lse,
        int queries, int heads, int d, bool aligned) {
    using S = Sizes<T, D>;
    constexpr int R = S::rows, M = S::keys, DC = S::chunk, parts = D / DC;
    extern __shared__ __align__(16) unsigned char memory[];
    T* q = (T*)memory;
    T *k = q + R * S::stride, *v = k + M * S::stride;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    T *own_q = q + warp * 16 * S::stride, *p = v + M * S::stride + warp * 16 * S::score_stride;

    const int row0 = blockIdx.x * R, head = blockIdx.y / parts, part = blockIdx.y % parts, example = blockIdx.z;
    const int64_t channels = (int64_t)heads * d;
    const int rows = min(R, queries - row0), out_column = part * DC, out_columns = min(DC, d - out_column);
    if (out_columns <= 0) return;
    query += ((int64_t)example * queries + row0) * channels + head * d;
    const int tiles = (first.tokens + M - 1) / M, all = tiles + (second.tokens + M - 1) / M;

    // The tile t of keys or values: where it begins, and how many tokens it has.
    auto segment = [&](int t, const T*& key, const T*& value, float& scale) {
        const Segment<T>& s = t < tiles ? first : second;
        const int token = (t < tiles ? t : t - tiles) * M;
        const int64_t at = ((s.shared ? 0 : (int64_t)example * s.tokens) + token) * channels + head * d;
        key = s.key + at;
        value = s.value + at;
        scale = s.scale * 1.4426950408889634f;  // the softmax is computed with powers of two
        return min(M, s.tokens - token);
    };

    float o[DC / 8][4], s[M / 8][4], top[2] = {-INFINITY, -INFINITY}, sum[2] = {0.f, 0.f};
    tile::clear(o);
    const T *key, *value;
    float scale;
    int tokens = segment(0, key, value, scale);
    if (parts == 1) tile::load<R, DC>(q, query, channels, rows, d, aligned);
    if (parts == 1) tile::load<M, DC>(k, key, channels, tokens, d, aligned);
    __pipeline_commit();
    for (int t = 0; t < all; t++) {
        tokens = segment(t, key, value, scale);
        tile::clear(s);
        for (int c = 0; c < parts; c++) {
            const int columns = min(DC, d - c * DC);
            if (parts > 1) {
                __syncthreads();
                tile::load<R, DC>(q, query + c * DC, channels, rows, columns, aligned);
                tile::load<M, DC>(k, key + c * DC, channels, tokens, columns, aligned);
                __pipeline_commit();
            }
            __pipeline_wait_prior(0);
            __syncthreads();
            if (c == parts - 1) {
                tile::load<M, DC>(v, value + out_column, channels, tokens, out_columns, aligned);
                __pipeline_commit();
            }
            tile::multiply_transposed<M, DC>(s, own_q, S::stride, k, S::stride, lane);
        }
        float high[2] = {top[0], top[1]};
#pragma unroll
        for (int j = 0; j < M / 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const bool there = 8 * j + lane % 4 * 2 + i % 2 < tokens;
                s[j][i] = there ? s[j][i] * scale : -INFINITY;
                high[i / 2] = fmaxf(high[i / 2], s[j][i]);
            }
        float shrink[2], part_sum[2] = {0.f, 0.f};
#pragma unroll
        for (int i = 0; i < 2; i++) {
            high[i] = tile::row_max(high[i]);
            shrink[i] = exp2f(top[i] - high[i]);
            top[i] = high[i];
        }
#pragma unroll
        for (int j = 0; j < M / 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                s[j][i] = exp2f(s[j][i] - top[i / 2]);
                part_sum[i / 2] += s[j][i];
            }
#pragma unroll
        for (int i = 0; i < 2; i++) sum[i] = sum[i] * shrink[i] + tile::row_sum(part_sum[i]);
#pragma unroll
        for (int j = 0; j < DC / 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) o[j][i] *= shrink[i / 2];
        tile::store<M>(p, S::score_stride, s, lane);
        __pipeline_wait_prior(0);
        __syncthreads();
        if (t + 1 < all && parts == 1) {
            const T *next, *unused;
            float factor;
            const int n = segment(t + 1, next, unused, factor);
            tile::load<M, DC>(k, next, channels, n, d, aligned);
        }
        __pipeline_commit();
        tile::multiply<DC, M>(o, p, S::score_stride, v, S::stride, lane);
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int row = warp * 16 + lane / 4 + 8 * i;
        if (row >= rows) continue;
        const float inverse = 1.f / sum[i];
        T* at = out + ((int64_t)example * queries + row0 + row) * channels + head * d + out_column;
#pragma unroll
        for (int j = 0; j < DC / 8; j++) {
            const int column = 8 * j + lane % 4 * 2;
            if (column < out_columns) at[column] = tile::from_float<T>(o[j][2 * i] * inverse);
            if (column + 1 < out_columns) at[column + 1] = tile::from_float<T>(o[j][2 * i + 1] * inverse);
        }
        if (part == 0 && lane % 4 == 0)
            lse[((int64_t)example * heads + head) * queries + row0 + row] = (top[i] + log2f(sum[i])) * 0.6931471805599453f;
    }
}

// The same for small heads in half precision, with query and scores in registers: the tensor cores leave the scores
// where they take them for the next product. A warp has 32 queries, so that what it reads from shared memory serves two
// products. The next tile of keys and values is copied while one is computed.
template <int D> struct Registers {
    static constexpr int warps = 4, rows = 32 * warps, keys = 64;
    static constexpr int stride = tile::padded<__half>(D), tile_size = keys * stride;
    static constexpr int bytes = 2 * 4 * tile_size;  // two tiles of keys and of values
    static_assert(bytes <= shared_by_default, "a tile needs more shared memory than a block has by default");
};

template <class T, int D>
__global__ void __launch_bounds__(Registers<D>::warps * 32, 2)
forward_in_registers(const T* __restrict__ query, Segment<T> first, Segment<T> second, T* __restrict__ out,
                     float* __restrict__ lse, int queries, int heads, int d, bool aligned) {
    using S = Registers<D>;
    constexpr int R = S::rows, M = S::keys;
    extern __shared__ __align__(16) unsigned char memory[];
    T* const buffers = (T*)memory;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int row0 = blockIdx.x * R, head = blockIdx.y, example = blockIdx.z, rows = min(R, queries - row0);
    const int64_t channels = (int64_t)heads * d;
    query += ((int64_t)example * queries + row0) * channels + head * d;
    const int tiles = (first.tokens + M - 1) / M, all = tiles + (second.tokens + M - 1) / M;

    auto copy_tile = [&](int t) {
        const bool early = t < tiles;
        const int token = (early ? t : t - tiles) * M, whole = early ? first.tokens : second.tokens, tokens = min(M, whole - token);
        const bool shared = early ? first.shared : second.shared;
        const int64_t at = ((shared ? 0 : (int64_t)example * whole) + token) * channels + head * d;
        T* const to = buffers + t % 2 * 2 * S::tile_size;
        tile::load<M, D>(to, (early ? first.key : second.key) + at, channels, tokens, d, aligned);
        tile::load<M, D>(to + S::tile_size, (early ? first.value : second.value) + at, channels, tokens, d, aligned);
        __pipeline_commit();
    };

    // The queries pass through the second buffer.
    unsigned q[2][D / 16][4];
    T* const passing = buffers + 2 * S::tile_size;
    tile::load<R, D>(passing, query, channels, rows, d, aligned);
    copy_tile(0);
    __pipeline_wait_prior(0);
    __syncthreads();
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int k = 0; k < D / 16; k++) tile::load_a(q[m][k], passing + (warp * 32 + m * 16) * S::stride, S::stride, 16 * k, lane);

    float o[2][D / 8][4], s[2][M / 8][4], top[2][2], sum[2][2];
#pragma unroll
    for (int m = 0; m < 2; m++) {
        tile::clear(o[m]);
        top[m][0] = top[m][1] = -INFINITY;
        sum[m][0] = sum[m][1] = 0.f;
    }
    for (int t = 0; t < all; t++) {
        __pipeline_wait_prior(0);
        __syncthreads();  // this tile is there, and the buffer of the one before is free
        if (t + 1 < all) copy_tile(t + 1);
        const T *key = buffers + t % 2 * 2 * S::tile_size, *value = key + S::tile_size;
        const int tokens = t < tiles ? first.tokens - t * M : second.tokens - (t - tiles) * M;
        const float scale = (t < tiles ? first.scale : second.scale) * 1.4426950408889634f;  // the softmax is computed with powers of two
        tile::clear(s[0]);
        tile::clear(s[1]);
#pragma unroll
        for (int k = 0; k < D / 16; k++)
#pragma unroll
            for (int n = 0; n < M; n += 16) {
                unsigned y[4];
                tile::load_bt(y, key, S::stride, n, 16 * k, lane);
#pragma unroll
                for (int m = 0; m < 2; m++) {
                    tile::mma(s[m][n / 8], q[m][k], y[0], y[1], T());
                    tile::mma(s[m][n / 8 + 1], q[m][k], y[2], y[3], T());
                }
            }
        if (tokens < M)
#pragma unroll
            for (int m = 0; m < 2; m++)
#pragma unroll
                for (int j = 0; j < M / 8; j++)
#pragma unroll
                    for (int i = 0; i < 4; i++)
                        if (8 * j + lane % 4 * 2 + i % 2 >= tokens) s[m][j][i] = -INFINITY;
#pragma unroll
        for (int m = 0; m < 2; m++)
#pragma unroll
            for (int i = 0; i < 2; i++) {
                float high = -INFINITY;
#pragma unroll
                for (int j = 0; j < M / 8; j++) high = fmaxf(high, fmaxf(s[m][j][2 * i], s[m][j][2 * i + 1]));
                high = fmaxf(top[m][i], tile::row_max(high) * scale);
                const float shrink = exp2f(top[m][i] - high);
                top[m][i] = high;
                float part = 0.f;
#pragma unroll
                for (int j = 0; j < M / 8; j++)
#pragma unroll
                    for (int e = 2 * i; e < 2 * i + 2; e++) {
                        s[m][j][e] = exp2f(s[m][j][e] * scale - high);
                        part += s[m][j][e];
                    }
                sum[m][i] = sum[m][i] * shrink + part;  // of this lane; the four lanes of a row are added at the end
#pragma unroll
                for (int j = 0; j < D / 8; j++) {
                    o[m][j][2 * i] *= shrink;
                    o[m][j][2 * i + 1] *= shrink;
                }
            }
#pragma unroll
        for (int k = 0; k < M / 16; k++) {
            unsigned p[2][4];
#pragma unroll
            for (int m = 0; m < 2; m++)
#pragma unroll
                for (int i = 0; i < 4; i++)
                    p[m][i] = tile::pack<T>(s[m][2 * k + i / 2][i % 2 * 2], s[m][2 * k + i / 2][i % 2 * 2 + 1]);
#pragma unroll
            for (int n = 0; n < D; n += 16) {
                unsigned y[4];
                tile::load_b(y, value, S::stride, 16 * k, n, lane);
#pragma unroll
                for (int m = 0; m < 2; m++) {
                    tile::mma(o[m][n / 8], p[m], y[0], y[1], T());
                    tile::mma(o[m][n / 8 + 1], p[m], y[2], y[3], T());
                }
            }
        }
    }
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int row = warp * 32 + m * 16 + lane / 4 + 8 * i;
            const float total = tile::row_sum(sum[m][i]), inverse = 1.f / total;
            if (row >= rows) continue;
            T* at = out + ((int64_t)example * queries + row0 + row) * channels + head * d;
#pragma unroll
            for (int j = 0; j < D / 8; j++) {
                const int column = 8 * j + lane % 4 * 2;
                const float x = o[m][j][2 * i] * inverse, y = o[m][j][2 * i + 1] * inverse;
                if (column + 1 < d && d % 2 == 0) tile::put(at + column, x, y);
                else if (column < d) {
                    at[column] = tile::from_float<T>(x);
                    if (column + 1 < d) at[column + 1] = tile::from_float<T>(y);
                }
            }
            if (lane % 4 == 0)
                lse[((int64_t)example * heads + head) * queries + row0 + row] = (top[m][i] + log2f(total)) * 0.6931471805599453f;
        }
}

template <class T, int D>
void run_forward(const T* query, Segment<T> first, Segment<T> second, T* out, float* lse, int batch, int queries, int heads,
                 int d) {
    const bool aligned = d * sizeof(T) % 16 == 0;
    if constexpr (sizeof(T) == 2 && D <= 64) {
        using S = Registers<D>;
        const dim3 grid((queries + S::rows - 1) / S::rows, heads, batch);
        forward_in_registers<T, D><<<grid, S::warps * 32, S::bytes>>>(query, first, second, out, lse, queries, heads, d, aligned);
    } else {
        using S = Sizes<T, D>;
        if (S::bytes > shared_by_default)
            cudaFuncSetAttribute(forward<T, D>, cudaFuncAttributeMaxDynamicSharedMemorySize, S::bytes);
        const dim3 grid((queries + S::rows - 1) / S::rows, heads * (D / S::chunk), batch);
        forward<T, D><<<grid, S::warps * 32, S::bytes>>>(query, first, second, out, lse, queries, heads, d, aligned);
    }
}

}  // namespace attention
