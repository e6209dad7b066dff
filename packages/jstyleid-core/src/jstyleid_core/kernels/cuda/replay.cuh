// Replays of captured computations: their memory, and their start with other inputs (see kernels/replay.py).
#pragma once
#include <cuda_runtime.h>
#include <vector>
#include "helper_cuda.h"
#include "mem/allocator/cuda_device_allocator.h"
#include "mem/allocator/stat_allocator.h"
#include "var.h"

namespace jittor {
template <class T> Allocator* setup_allocator(Allocator* underlying);  // of mem/allocator.cc
}

namespace replay {

// Memory that replays write to whenever they are started: what Jittor's pool gives back is kept, not freed.
struct Memory : jittor::Allocator {
    std::vector<std::pair<void*, size_t>> kept;

    uint64_t flags() const override { return jittor::cuda_device_allocator.flags(); }
    const char* name() const override { return "replays"; }

    void* alloc(size_t size, size_t& allocation) override {
        for (auto at = kept.begin(); at != kept.end(); ++at)
            if (at->second == size) {
                void* const found = at->first;
                kept.erase(at);
                return found;
            }
        return jittor::cuda_device_allocator.alloc(size, allocation);
    }

    void free(void* pointer, size_t size, const size_t&) override { kept.emplace_back(pointer, size); }

    void release() {
        for (const auto& block : kept) jittor::cuda_device_allocator.free(block.first, block.second, 0);
        kept.clear();
    }
};

inline Memory memory;

// While `use_stat_allocator` is on, Jittor's pool lies above this allocator. It counts, and passes on to another one.
inline void install() {
    auto* counting = (jittor::StatAllocator*)jittor::setup_allocator<jittor::StatAllocator>(&jittor::cuda_device_allocator);
    counting->underlying = &memory;
}

using Arrays = std::vector<jittor::Var*>;

inline void copy(const Arrays& to, const Arrays& from) {
    for (size_t i = 0; i < to.size(); i++)
        checkCudaErrors(cudaMemcpyAsync(to[i]->mem_ptr, from[i]->mem_ptr, to[i]->size, cudaMemcpyDeviceToDevice, 0));
}

inline void start(double graph, const Arrays& given, const Arrays& inputs, const Arrays& outputs, const Arrays& results) {
    copy(inputs, given);
    checkCudaErrors(cudaGraphLaunch((cudaGraphExec_t)(uintptr_t)graph, 0));
    copy(results, outputs);
}

}  // namespace replay
