// The order in which blocks and threads come; the emulation alone makes this kernel sensible.
#include "output.h"

__global__ void order(int* next, int* out) {
    out[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(next, 1);
    __syncthreads();
}

int main() {
    Array<int> next(1), out(4 * 96);
    order<<<4, 96>>>(next.device, out.device);
    show("order", out.down());
}
