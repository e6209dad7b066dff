// What a card refuses. The argument says what is tried; the program ends well or dies.
#include <cstring>
#include <string>

#include "output.h"

__global__ void fill(int* out, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) out[i] = i;
}

__global__ void grow(int* out) {
    extern __shared__ int shared[];
    shared[threadIdx.x] = 1;
    out[threadIdx.x] = shared[threadIdx.x];
}

__device__ int deep(int n, volatile int* out) {
    volatile int local[1000];
    local[n % 1000] = n;
    return n == 0 ? 0 : deep(n - 1, out) + local[n % 1000] + out[0];
}
__global__ void recursive(int* out) { out[0] = deep(1000, out); }

// Lanes of a warp at different barriers.
__global__ void stuck() {
    if (threadIdx.x < 16) __syncthreads();
    else __syncwarp();
}
__global__ void stranger() { __syncwarp(threadIdx.x == 3 ? 0x7u : 0xffffffffu); }

void say(const char* name, cudaError_t error) {
    printf("%s %s\n", name, cudaGetErrorName(error));
    fflush(stdout);
}

int main(int, char** arguments) {
    const std::string what = arguments[1];
    int* data = nullptr;
    cudaError_t error = cudaMalloc((void**)&data, 1000 * sizeof(int));
    say("malloc", error);
    if (what == "host_reads") printf("%d\n", data[7]);
    if (what == "host_writes") memset(data, 0, 64);
    if (what == "host_reads_managed") {
        int* managed;
        must(cudaMallocManaged((void**)&managed, 64 * sizeof(int)));
        fill<<<1, 32>>>(managed, 64);
        printf("value %d\n", managed[7]);
    }
    if (what == "kernel_runs_past_the_end") fill<<<1, 32>>>(data, 1100);
    if (what == "stack") recursive<<<1, 1>>>(data);
    if (what == "stuck") stuck<<<1, 32>>>();
    if (what == "stranger") stranger<<<1, 32>>>();
    if (what == "freed") {
        cudaFree(data);
        fill<<<1, 32>>>(data, 1000);
    }
    if (what == "copies") {
        std::vector<int> host(1000);
        say("wrong_side", cudaMemcpy(host.data(), data, 4, cudaMemcpyHostToDevice));
        say("too_long", cudaMemcpy(host.data(), data, 4004, cudaMemcpyDeviceToHost));
        say("last", cudaGetLastError());
        say("after", cudaGetLastError());
        say("by_default", cudaMemcpy(host.data(), data, 4000, cudaMemcpyDefault));
        say("free_of_the_host's", cudaFree(host.data()));
    }
    if (what == "launches") {
        fill<<<1, 1025>>>(data, 0);
        say("threads", cudaGetLastError());
        fill<<<dim3(1, 65536), 1>>>(data, 0);
        say("blocks", cudaGetLastError());
        grow<<<1, 32, 60000>>>(data);
        say("shared", cudaGetLastError());
        say("attribute", cudaFuncSetAttribute(grow, cudaFuncAttributeMaxDynamicSharedMemorySize, 60000));
        grow<<<1, 32, 60000>>>(data);
        say("allowed", cudaGetLastError());
        say("beyond", cudaFuncSetAttribute(grow, cudaFuncAttributeMaxDynamicSharedMemorySize, 240000));
    }
    if (what == "full") {
        void* more = nullptr;
        say("too_much", cudaMalloc(&more, (size_t)70 << 20));
        say("fits", cudaMalloc(&more, (size_t)63 << 20));
        size_t left, all;
        cudaMemGetInfo(&left, &all);
        printf("free %zu of %zu\n", left, all);
        say("full", cudaMalloc(&more, (size_t)1 << 20));
        cudaFree(data);
        say("freed", cudaMalloc(&more, 4000));
    }
    if (what == "lost") {
        for (int i = 0; i < 3; i++) fill<<<1, 32>>>(data, 1000);
        say("before", cudaGetLastError());
        fill<<<1, 32>>>(data, 1000);
        say("launch", cudaGetLastError());
        say("still", cudaGetLastError());
        say("synchronize", cudaDeviceSynchronize());
        int value;
        say("copy", cudaMemcpy(&value, data, 4, cudaMemcpyDeviceToHost));
        void* more;
        say("another", cudaMalloc(&more, 4));
    }
    if (what == "cards") {
        int n = -1;
        error = cudaGetDeviceCount(&n);
        printf("cards %d\n", n);
        say("last_card", cudaSetDevice(n - 1));
        say("no_card", cudaSetDevice(n));
    }
    printf("end\n");
}
