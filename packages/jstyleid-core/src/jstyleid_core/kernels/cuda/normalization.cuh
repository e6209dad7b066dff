// Group and layer normalisation: mean, then variance around the mean, then the result, all sums in float32 and in a
// fixed order, so that results repeat to the bit.
#pragma once
#include "tile.cuh"

namespace normalization {

// The sum over a block, the same for all threads. `scratch` has 32 numbers.
__device__ inline float block_sum(float x, float* scratch) {
    for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
    __syncthreads();  // the numbers of the sum before were read
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = x;
    __syncthreads();
    float sum = 0.f;
    for (int warp = 0; warp < blockDim.x / 32; warp++) sum += scratch[warp];
    return sum;
}

__device__ inline float warp_sum(float x) {
    for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}

// V numbers that lie side by side, read and written at once.
template <class T, int V> struct __align__(sizeof(T) * V) Pack { T at[V]; };

__device__ inline float silu(float y) { return y / (1.f + expf(-y)); }

__device__ inline float silu_slope(float y) {
    const float s = 1.f / (1.f + expf(-y));
    return s * (1.f + y * (1.f - s));
}

// A block a group. x is (B, C, L), groups are `n` numbers side by side.
template <class T, int V>
__global__ void group_forward(const T* __restrict__ x, const T* __restrict__ weight, const T* __restrict__ bias,
                              T* __restrict__ y, int groups, int channels, int64_t length, float eps, bool with_silu) {
    __shared__ float scratch[32];
    using P = Pack<T, V>;
    const int per_group = channels / groups;
    const int64_t n = per_group * length, packs = n / V;
    const int first_channel = blockIdx.x % groups * per_group;
    const P* from = (const P*)(x + blockIdx.x * n);
    P* to = (P*)(y + blockIdx.x * n);
    float sum = 0.f;
    for (int64_t i = threadIdx.x; i < packs; i += blockDim.x) {
        const P p = from[i];
#pragma unroll
        for (int j = 0; j < V; j++) sum += tile::to_float(p.at[j]);
    }
    const float mean = block_sum(sum, scratch) / n;
    sum = 0.f;
    for (int64_t i = threadIdx.x; i < packs; i += blockDim.x) {
        const P p = from[i];
#pragma unroll
        for (int j = 0; j < V; j++) {
            const float d = tile::to_float(p.at[j]) - mean;
            sum += d * d;
        }
    }
    const float rstd = 1.f / sqrtf(block_sum(sum, scratch) / n + eps);
    for (int64_t i = threadIdx.x; i < packs; i += blockDim.x) {
        const int channel = first_channel + i * V / length;
        const float scale = tile::to_float(weight[channel]) * rstd, shift = tile::to_float(bias[channel]);
        const P p = from[i];
        P result;
#pragma unroll
        for (int j = 0; j < V; j++) {
            const float z = (tile::to_float(p.at[j]) - mean) * scale + shift;
            result.at[j] = tile::from_float<T>(with_silu ? silu(z) : z);
        }
        to[i] = result;
    }
}

// With xhat the normalised input, g the gradient at y = w xhat + b (after SiLU's own slope):
//   dx = rstd (w g - mean(w g) - xhat mean(w g xhat)),  dw = sum(g xhat),  db = sum(g).
// `channel_sums` receives dw and db of each example and channel, (2, B, C).
template <class T>
__global__ void group_backward(const T* __restrict__ x, const T* __restrict__ weight, const T* __restrict__ bias,
                               const T* __restrict__ grad, T* __restrict__ dx, float* __restrict__ channel_sums, int groups,
                               int channels, int64_t length, float eps, bool with_silu) {
    __shared__ float scratch[32];
    const int per_group = channels / groups, first_channel = blockIdx.x % groups * per_group;
    const int64_t n = per_group * length, at = blockIdx.x * n;
    float sum = 0.f;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += tile::to_float(x[at + i]);
    const float mean = block_sum(sum, scratch) / n;
    sum = 0.f;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
        const float d = tile::to_float(x[at + i]) - mean;
        sum += d * d;
    }
    const float rstd = 1.f / sqrtf(block_sum(sum, scratch) / n + eps);
    auto slope = [&](float xhat, float w, float b, float g) { return with_silu ? g * silu_slope(w * xhat + b) : g; };
    float sum_g = 0.f, sum_gx = 0.f;
    for (int c = 0; c < per_group; c++) {
        const float w = tile::to_float(weight[first_channel + c]), b = tile::to_float(bias[first_channel + c]);
        float own_g = 0.f, own_gx = 0.f;
        for (int64_t i = threadIdx.x; i < length; i += blockDim.x) {
            const float xhat = (tile::to_float(x[at + c * length + i]) - mean) * rstd;
            const float g = slope(xhat, w, b, tile::to_float(grad[at + c * length + i]));
            own_g += g;
            own_gx += g * xhat;
        }
        own_g = block_sum(own_g, scratch);
        own_gx = block_sum(own_gx, scratch);
        if (threadIdx.x == 0) {
            const int64_t where = blockIdx.x / groups * channels + first_channel + c;
            channel_sums[where] = own_gx;
            channel_sums[(int64_t)gridDim.x / groups * channels + where] = own_g;
        }
        sum_g += w * own_g;
        sum_gx += w * own_gx;
    }
    const float mean_g = sum_g / n, mean_gx = sum_gx / n;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
        const int channel = first_channel + i / length;
        const float w = tile::to_float(weight[channel]), b = tile::to_float(bias[channel]);
        const float xhat = (tile::to_float(x[at + i]) - mean) * rstd;
        const float g = slope(xhat, w, b, tile::to_float(grad[at + i]));
        dx[at + i] = tile::from_float<T>(rstd * (w * g - mean_g - xhat * mean_gx));
    }
}

template <class T> struct Row {
    const T* x;
    int n, lane;
    float mean, rstd;

    __device__ Row(const T* x, int n, float eps) : x(x), n(n), lane(threadIdx.x % 32) {
        float sum = 0.f;
        for (int i = lane; i < n; i += 32) sum += tile::to_float(x[i]);
        mean = warp_sum(sum) / n;
        sum = 0.f;
        for (int i = lane; i < n; i += 32) {
            const float d = tile::to_float(x[i]) - mean;
            sum += d * d;
        }
        rstd = 1.f / sqrtf(warp_sum(sum) / n + eps);
    }
};

// A warp a row.
template <class T>
__global__ void layer_forward(const T* __restrict__ x, const T* __restrict__ weight, const T* __restrict__ bias,
                              T* __restrict__ y, int64_t rows, int n, float eps) {
    const int64_t row = (int64_t)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (row >= rows) return;
    const Row<T> r(x + row * n, n, eps);
    for (int i = r.lane; i < n; i += 32)
        y[row * n + i] = tile::from_float<T>((tile::to_float(r.x[i]) - r.mean) * r.rstd * tile::to_float(weight[i]) +
                                             tile::to_float(bias[i]));
}

// dx as for groups; `statistics` receives mean and 1 / deviation of each row, (rows, 2).
template <class T>
__global__ void layer_backward(const T* __restrict__ x, const T* __restrict__ weight, const T* __restrict__ grad,
                               T* __restrict__ dx, float* __restrict__ statistics, int64_t rows, int n, float eps) {
    const int64_t row = (int64_t)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (row >= rows) return;
    const Row<T> r(x + row * n, n, eps);
    float sum_g = 0.f, sum_gx = 0.f;
    for (int i = r.lane; i < n; i += 32) {
        const float g = tile::to_float(grad[row * n + i]) * tile::to_float(weight[i]);
        sum_g += g;
        sum_gx += g * (tile::to_float(r.x[i]) - r.mean) * r.rstd;
    }
    const float mean_g = warp_sum(sum_g) / n, mean_gx = warp_sum(sum_gx) / n;
    for (int i = r.lane; i < n; i += 32) {
        const float g = tile::to_float(grad[row * n + i]) * tile::to_float(weight[i]);
        const float xhat = (tile::to_float(r.x[i]) - r.mean) * r.rstd;
        dx[row * n + i] = tile::from_float<T>(r.rstd * (g - mean_g - xhat * mean_gx));
    }
    if (r.lane == 0) {
        statistics[2 * row] = r.mean;
        statistics[2 * row + 1] = r.rstd;
    }
}

// dw and db of a layer norm: a block of 32 x 8 threads owns 32 columns.
template <class T>
__global__ void layer_weight_backward(const T* __restrict__ x, const T* __restrict__ grad, const float* __restrict__ statistics,
                                      T* __restrict__ dw, T* __restrict__ db, int64_t rows, int n) {
    __shared__ float sums[2][8][33];
    const int column = blockIdx.x * 32 + threadIdx.x;
    float w = 0.f, b = 0.f;
    if (column < n)
        for (int64_t row = threadIdx.y; row < rows; row += 8) {
            const float g = tile::to_float(grad[row * n + column]);
            w += g * (tile::to_float(x[row * n + column]) - statistics[2 * row]) * statistics[2 * row + 1];
            b += g;
        }
    sums[0][threadIdx.y][threadIdx.x] = w;
    sums[1][threadIdx.y][threadIdx.x] = b;
    __syncthreads();
    if (threadIdx.y == 0 && column < n) {
        w = b = 0.f;
        for (int i = 0; i < 8; i++) {
            w += sums[0][i][threadIdx.x];
            b += sums[1][i][threadIdx.x];
        }
        dw[column] = tile::from_float<T>(w);
        db[column] = tile::from_float<T>(b);
    }
}

template <class T>
void run_group_forward(const T* x, const T* weight, const T* bias, T* y, int batch, int groups, int channels, int64_t length,
                       float eps, bool with_silu) {
    constexpr int V = 16 / sizeof(T);
    const int64_t n = channels / groups * length;
    const int threads = n >= 8192 ? 1024 : n >= 2048 ? 256 : 64;
    if (length % V == 0)
        group_forward<T, V><<<batch * groups, threads>>>(x, weight, bias, y, groups, channels, length, eps, with_silu);
    else
        group_forward<T, 1><<<batch * groups, threads>>>(x, weight, bias, y, groups, channels, length, eps, with_silu);
}

template <class T>
void run_group_backward(const T* x, const T* weight, const T* bias, const T* grad, T* dx, float* channel_sums, int batch,
                        int groups, int channels, int64_t length, float eps, bool with_silu) {
    const int threads = length >= 1024 ? 512 : length >= 256 ? 256 : 64;
    group_backward<T><<<batch * groups, threads>>>(x, weight, bias, grad, dx, channel_sums, groups, channels, length,
                                                              eps, with_silu);
}

template <class T>
void run_layer_forward(const T* x, const T* weight, const T* bias, T* y, int64_t rows, int n, float eps) {
    layer_forward<T><<<(rows + 3) / 4, 128>>>(x, weight, bias, y, rows, n, eps);
}

template <class T>
void run_layer_backward(const T* x, const T* weight, const T* grad, T* dx, float* statistics, T* dw, T* db, int64_t rows, int n,
                        float eps) {
    layer_backward<T><<<(rows + 3) / 4, 128>>>(x, weight, grad, dx, statistics, rows, n, eps);
    if (dw) layer_weight_backward<T><<<(n + 31) / 32, dim3(32, 8)>>>(x, grad, statistics, dw, db, rows, n);
}

}  // namespace normalization
