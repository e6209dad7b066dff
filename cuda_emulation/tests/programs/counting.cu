// Counted are launches, copies, bytes, waits and memory.
#include "output.h"

extern "C" const char* fake_cuda_report();
extern "C" void fake_cuda_reset();

__global__ void one(float* x) { x[threadIdx.x] += 1; }
template <class T>
__global__ void two(T* x) { x[threadIdx.x] += 2; }

int main() {
    {
        Array<float> before(10);
        one<<<1, 10>>>(before.device);
    }
    fake_cuda_reset();
    Array<float> a(100), b(50);
    one<<<1, 100>>>(a.device);
    for (int i = 0; i < 3; i++) two<float><<<1, 50>>>(b.device);
    must(cudaMemcpy(b.device, a.device, 40, cudaMemcpyDeviceToDevice));
    must(cudaMemset(a.device, 0, 8));
    must(cudaDeviceSynchronize());
    b.down();
    {
        Array<double> c(1000);
    }
    printf("report %s\n", fake_cuda_report());
}
