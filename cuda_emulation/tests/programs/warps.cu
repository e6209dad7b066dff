// Shuffles, votes, and asynchronous copies.
#include <cuda_pipeline.h>

#include "output.h"

const unsigned ALL = 0xffffffffu;

__global__ void shuffles(int* out) {
    const int lane = threadIdx.x % 32;
    int* mine = out + threadIdx.x;
    mine[0 * 64] = __shfl_xor_sync(ALL, lane * 10, 5);
    mine[1 * 64] = __shfl_sync(ALL, lane * 10, 7);
    mine[2 * 64] = __shfl_down_sync(ALL, lane * 10, 3);
    mine[3 * 64] = __shfl_up_sync(ALL, lane * 10, 3);
    mine[4 * 64] = __shfl_sync(ALL, lane * 10, 1, 8);
    mine[5 * 64] = (int)__ballot_sync(ALL, lane % 3 == 0);
    mine[6 * 64] = __any_sync(ALL, lane == 31) * 2 + __all_sync(ALL, lane < 31);
}

__global__ void sum_of_a_warp(float* out) {
    float sum = (float)threadIdx.x;
    for (int by = 16; by; by /= 2) sum += __shfl_xor_sync(ALL, sum, by);
    out[threadIdx.x] = sum;
}

// The two halves of a warp each go their own way.
__global__ void halves_of_a_warp(int* out) {
    const int lane = threadIdx.x;
    if (lane < 16) {
        int v = lane;
        for (int i = 0; i < 3; i++) v = __shfl_sync(0x0000ffffu, v + 1, (lane + 1) % 16);
        out[lane] = v;
    } else {
        out[lane] = __shfl_sync(0xffff0000u, lane, 16);
    }
    __syncwarp();
    if (lane == 0) out[32] = 1;
}

__global__ void copied(const float* in, float* out, int waits) {
    __shared__ alignas(16) float stage[2][128];
    float* const to = stage[0] + 4 * threadIdx.x;
    __pipeline_memcpy_async(to, in + 4 * threadIdx.x, 16);
    __pipeline_commit();
    __pipeline_memcpy_async(stage[1] + 4 * threadIdx.x, in + 128 + 4 * threadIdx.x, 16, 8);
    __pipeline_commit();
    if (waits == 1) __pipeline_wait_prior(1);
    if (waits == 2) __pipeline_wait_prior(0);
    __syncthreads();
    for (int i = 0; i < 4; i++) {
        out[4 * threadIdx.x + i] = stage[0][127 - (4 * threadIdx.x + i)];
        out[128 + 4 * threadIdx.x + i] = stage[1][4 * threadIdx.x + i];
    }
}

int main() {
    Array<int> out(7 * 64);
    shuffles<<<1, 64>>>(out.device);
    show("shuffles", out.down());
    Array<float> sum(32);
    sum_of_a_warp<<<1, 32>>>(sum.device);
    show("sum_of_a_warp", sum.down());
    Array<int> halves(33);
    halves_of_a_warp<<<1, 32>>>(halves.device);
    show("halves_of_a_warp", halves.down());

    std::vector<float> numbers(256);
    for (int i = 0; i < 256; i++) numbers[i] = (float)i;
    Array<float> in(numbers);
    for (int waits = 0; waits < 3; waits++) {
        Array<float> copy(256);
        copied<<<1, 32>>>(in.device, copy.device, waits);
        must(cudaGetLastError());
        show(waits == 0 ? "waited_0" : waits == 1 ? "waited_1" : "waited_2", copy.down());
    }
}
