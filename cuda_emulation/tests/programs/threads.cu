// Indices, barriers, shared memory, atomics.
#include "output.h"

__global__ void indices(int* out) {
    const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    out[block * blockDim.x * blockDim.y * blockDim.z + thread] +=
        1 + 10 * threadIdx.x + 100 * threadIdx.y + 1000 * threadIdx.z;
}

__global__ void sums(const float* in, float* out) {
    __shared__ float part[256];
    const int t = threadIdx.x;
    part[t] = in[blockIdx.x * 256 + t];
    __syncthreads();
    for (int half = 128; half; half /= 2) {
        if (t < half) part[t] += part[t + half];
        __syncthreads();
    }
    if (t == 0) out[blockIdx.x] = part[0];
}

__global__ void turned(int* data, int n) {
    extern __shared__ __align__(16) int copy[];
    copy[threadIdx.x] = data[threadIdx.x];
    __syncthreads();
    data[threadIdx.x] = copy[n - 1 - threadIdx.x];
}

// Threads that have ended are not waited for.
__global__ void early_end(int* out) {
    __shared__ alignas(16) int seen;
    if (threadIdx.x == 0) seen = 0;
    __syncthreads();
    if (threadIdx.x >= 40) return;
    atomicAdd(&seen, 1);
    __syncthreads();
    if (threadIdx.x == 0) out[0] = seen;
}

__global__ void unwritten(float* out) {
    extern __shared__ float nothing[];
    out[0] = nothing[3];
}

template <class T>
__global__ void atomics(T* add, T* top, T* low, unsigned* swapped) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    atomicAdd(add, (T)1);
    atomicMax(top, (T)i);
    atomicMin(low, (T)(i + 5));
    unsigned old = *swapped, seen;
    do {
        seen = old;
        old = atomicCAS(swapped, seen, seen + 2);
    } while (old != seen);
}

template <class T>
void run_atomics(const char* name) {
    Array<T> values(std::vector<T>{0, 0, 100000});
    Array<unsigned> swapped(1, 0u);
    atomics<T><<<50, 64>>>(values.device, values.device + 1, values.device + 2, swapped.device);
    must(cudaGetLastError());
    show(name, values.down());
    show("swapped", swapped.down());
}

__constant__ float factors[2];
__global__ void scaled(float* out) { out[threadIdx.x] = factors[threadIdx.x] * 2; }

int main() {
    Array<int> index(2 * 3 * 2 * 24, 0);
    indices<<<dim3(2, 3, 2), dim3(4, 3, 2)>>>(index.device);
    show("indices", index.down());

    std::vector<float> numbers(3 * 256);
    for (size_t i = 0; i < numbers.size(); i++) numbers[i] = (float)i;
    Array<float> in(numbers), out(3);
    sums<<<3, 256>>>(in.device, out.device);
    show("sums", out.down());

    std::vector<int> order(100);
    for (int i = 0; i < 100; i++) order[i] = i;
    Array<int> data(order);
    turned<<<1, 100, 100 * sizeof(int)>>>(data.device, 100);
    show("turned", data.down());

    Array<int> count(1);
    early_end<<<1, 100>>>(count.device);
    show("early_end", count.down());

    Array<float> nan(1);
    unwritten<<<1, 1, 64>>>(nan.device);
    show("unwritten", nan.down());

    run_atomics<int>("atomics_int");
    run_atomics<unsigned long long>("atomics_long");

    const float two[2] = {3, 5};
    must(cudaMemcpyToSymbol(factors, two, sizeof two));
    Array<float> products(2);
    scaled<<<1, 2>>>(products.device);
    show("scaled", products.down());
    must(cudaDeviceSynchronize());
}
