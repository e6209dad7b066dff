// A captured computation: kernels, a copy, a fill and a product, launched again with other numbers.
#include <cublas_v2.h>

#include <string>

#include "output.h"

__global__ void twice(const float* x, float* y, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = 2 * x[i];
}

void say(const char* name, cudaError_t error) { printf("%s %s\n", name, cudaGetErrorName(error)); }

int main(int, char** arguments) {
    const std::string what = arguments[1];
    const int n = 16, bytes = n * sizeof(float);
    const cudaStream_t stream = cudaStreamPerThread;
    float *x, *y, *z, host[n];
    for (float** array : {&x, &y, &z}) must(cudaMalloc((void**)array, bytes));
    cublasHandle_t handle;
    cublasCreate(&handle);
    if (what != "legacy_product") cublasSetStream(handle, stream);
    if (what == "legacy") return say("begin", cudaStreamBeginCapture(cudaStreamLegacy, cudaStreamCaptureModeRelaxed)), 0;

    must(cudaMemset(y, 0, bytes));
    say("begin", cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    twice<<<1, 32, 0, stream>>>(x, y, n);
    must(cudaMemcpyAsync(z, y, bytes, cudaMemcpyDeviceToDevice, stream));
    must(cudaMemsetAsync(y, 0, bytes, stream));
    if (what == "waiting") say("wait", cudaDeviceSynchronize());
    if (what == "reading") say("read", cudaMemcpy(host, y, bytes, cudaMemcpyDeviceToHost));
    const float one = 1, zero = 0;
    // y = z x, as matrices of 4 x 4.
    const bool done = cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, &one, x, 4, z, 4, &zero, y, 4) == CUBLAS_STATUS_SUCCESS;
    printf("product %s\n", done ? "done" : "refused");
    cudaGraph_t graph;
    const cudaError_t end = cudaStreamEndCapture(stream, &graph);
    say("end", end);
    if (end != cudaSuccess) return 0;

    must(cudaMemcpy(host, z, bytes, cudaMemcpyDeviceToHost));  // nothing was computed yet
    cudaGraphExec_t made;
    must(cudaGraphInstantiateWithFlags(&made, graph, 0));
    must(cudaGraphDestroy(graph));
    for (int round = 1; round <= 2; round++) {
        for (int i = 0; i < n; i++) host[i] = i % 5 == 0 ? round : 0;  // round times the identity
        must(cudaMemcpy(x, host, bytes, cudaMemcpyHostToDevice));
        must(cudaGraphLaunch(made, stream));
        must(cudaMemcpy(host, y, bytes, cudaMemcpyDeviceToHost));
        printf("round%d %g %g\n", round, host[0], host[1]);
    }
    must(cudaGraphExecDestroy(made));
}
