// Found before CUDA's own: CUB of CUDA 13 (CCCL 3) lost the functors that Jittor's softmax names.
#pragma once
#include_next <cub/cub.cuh>
#if defined(CUDART_VERSION) && CUDART_VERSION >= 13000
namespace cub {
struct Max {
    template <class T> __host__ __device__ T operator()(const T& a, const T& b) const { return a > b ? a : b; }
};
struct Min {
    template <class T> __host__ __device__ T operator()(const T& a, const T& b) const { return a < b ? a : b; }
};
}  // namespace cub
#endif
