// The part of CUDA's runtime that the real nvcc's code calls: registration, and launches of code
// for a card. Such code cannot run here. With FAKE_NVCC=real its launches are counted and do
// nothing, so that the launches and the memory of a large model can be counted in minutes;
// otherwise they are an error.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "card.h"
#include "counters.h"
#include "errors.h"

namespace emulation {

bool may_launch(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes);

// Whether kernels and library calls are only counted.
bool counts_only() {
    static const char* const compiler = getenv("FAKE_NVCC");
    return compiler && !strcmp(compiler, "real");
}

namespace {

std::mutex names_mutex;
std::map<const void*, std::string>& names() {
    static auto* const only = new std::map<const void*, std::string>;
    return *only;
}

struct Configuration {
    dim3 grid, block;
    size_t shared_bytes;
    cudaStream_t stream;
};
thread_local Configuration configuration;

cudaError_t launch_code(const void* function, dim3 grid, dim3 block, size_t shared_bytes) {
    std::string name;
    {
        const std::lock_guard<std::mutex> lock(names_mutex);
        name = names()[function];
    }
    if (!counts_only())
        return fail(cudaErrorNoKernelImageForDevice, "%s was compiled for a card", name.c_str());
    return may_launch(name.c_str(), grid, block, shared_bytes) ? cudaSuccess : cudaPeekAtLastError();
}

}  // namespace
}  // namespace emulation

using namespace emulation;

extern "C" {

void** __cudaRegisterFatBinary(void*) { return (void**)malloc(sizeof(void*)); }
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void** handle) { free(handle); }
char __cudaInitModule(void**) { return 1; }
void __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int) {}
void __cudaRegisterFunction(void**, const char* host, char*, const char* device, int, uint3*, uint3*,
                            dim3*, dim3*, int*) {
    const std::lock_guard<std::mutex> lock(names_mutex);
    names()[host] = device;
}
cudaError_t __cudaGetKernel(void** kernel, const void* function) {
    *kernel = const_cast<void*>(function);
    return cudaSuccess;
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t s) {
    configuration = {grid, block, shared_bytes, s};
    return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared_bytes, void* stream) {
    *grid = configuration.grid;
    *block = configuration.block;
    *shared_bytes = configuration.shared_bytes;
    *(cudaStream_t*)stream = configuration.stream;
    return cudaSuccess;
}

cudaError_t cudaLaunchKernel(const void* f, dim3 grid, dim3 block, void**, size_t shared, cudaStream_t) {
    return launch_code(f, grid, block, shared);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* c, const void* f, void**) {
    return launch_code(f, c->gridDim, c->blockDim, c->dynamicSmemBytes);
}
cudaError_t __cudaLaunchKernel(void* f, dim3 grid, dim3 block, void**, size_t shared, cudaStream_t) {
    return launch_code(f, grid, block, shared);
}

cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* a, const void*) {
    memset(a, 0, sizeof *a);
    a->maxThreadsPerBlock = 1024;
    a->binaryVersion = a->ptxVersion = capability();
    return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* n, const void*, int, size_t) {
    *n = 2;
    return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* n, const void*, int, size_t,
                                                                   unsigned) {
    *n = 2;
    return cudaSuccess;
}

}  // extern "C"
