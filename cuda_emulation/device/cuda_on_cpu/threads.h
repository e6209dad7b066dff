// A thread of a kernel: its indices, its barriers, and the launch of all threads. The functions
// are in the stand-in of CUDA's runtime, libraries/threads.cpp and libraries/launch.cpp.
#pragma once
#include <cuda_runtime_api.h>

#include <functional>

// Threads of a block take turns on one thread of the machine; whoever goes on finds its own here.
extern __thread uint3 threadIdx, blockIdx;
extern __thread dim3 blockDim, gridDim;
static const int warpSize = 32;

namespace cuda_on_cpu {

// Runs all threads of a kernel, and returns when they are done. What cannot be launched is
// reported by cudaGetLastError.
void launch(const char* kernel, const std::function<void()>& thread, dim3 grid, dim3 block,
            size_t shared_bytes = 0, cudaStream_t stream = nullptr);
// A kernel with its arguments as they are now: a captured launch is done later.
template <class Kernel, class... Arguments>
std::function<void()> with_arguments(Kernel kernel, Arguments... arguments) {
    return [=] { kernel(arguments...); };
}
// cudaFuncSetAttribute; kernels are known by their names.
cudaError_t set_attribute(const char* kernel, cudaFuncAttribute attribute, int value);

void wait_for_block();                  // until all threads of the block that still run wait
void wait_for_warp(unsigned lanes);     // until those of the named lanes that still run wait
unsigned lane();                        // 0 to 31
void* slot(unsigned lane);              // 64 bytes a lane, that all lanes of the warp can reach
void* dynamic_shared();                 // the block's dynamic shared memory

// A copy to shared memory that is done by `wait_for_copies`, not before.
void copy_later(void* to, const void* from, size_t bytes, size_t zeros);
void commit_copies();                   // closes a batch of copies
void wait_for_copies(size_t newest);    // does all batches but the newest ones

[[noreturn]] void wrong(const char* reason, ...) __attribute__((format(printf, 1, 2)));

}  // namespace cuda_on_cpu

inline void __syncthreads() { cuda_on_cpu::wait_for_block(); }
inline void __syncwarp(unsigned lanes = 0xffffffffu) { cuda_on_cpu::wait_for_warp(lanes); }
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
