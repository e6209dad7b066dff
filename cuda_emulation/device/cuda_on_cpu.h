// Included before everything else when a kernel is compiled for the CPU: CUDA's language as C++.
// kernel_source.py has by then turned launches and dynamic shared memory into C++.
#pragma once
#define CUDA_ON_CPU 1

// The toolkit's own headers for code on a card stay empty.
#define __CUDA_FP16_H__
#define __CUDA_FP16_HPP__
#define __CUDA_BF16_H__
#define __CUDA_BF16_HPP__
#define __DEVICE_LAUNCH_PARAMETERS_H__

#include <cuda_runtime_api.h>
#include <vector_functions.h>
#include <vector_types.h>

#ifndef __global__
#define __global__
#define __device__
#define __host__
#endif
#undef __shared__
#undef __constant__
#undef __forceinline__
#undef __noinline__
#undef __launch_bounds__
#undef __align__
#undef __restrict__
#define __shared__ static thread_local  // the threads of a block share a thread of the machine
#define __constant__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __restrict__ __restrict
#define __grid_constant__

#include "cuda_on_cpu/threads.h"
#include "cuda_on_cpu/halves.h"
#include "cuda_on_cpu/atomics.h"
#include "cuda_on_cpu/intrinsics.h"
#include "cuda_on_cpu/tensor_cores.h"
#include "cuda_on_cpu/warps.h"
