// Replays of captured computations: their memory, and their start with other inputs (see kernels/replay.py).
#pragma once
#include <cuda_runtime.h>
#include <map>
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

struct Block {
    void* pointer;
    size_t size;
};

inline std::vector<Block> blocks_of(const Arrays& arrays) {
    std::vector<Block> blocks;
    for (const auto* array : arrays) blocks.push_back({array->mem_ptr, (size_t)array->size});
    return blocks;
}

inline void copy(const std::vector<Block>& to, const std::vector<Block>& from) {
    for (size_t i = 0; i < to.size(); i++)
        checkCudaErrors(cudaMemcpyAsync(to[i].pointer, from[i].pointer, to[i].size, cudaMemcpyDeviceToDevice, 0));
}

// A captured graph, and where in that memory its inputs and outputs lie.
struct Graph {
    cudaGraphExec_t executable;
    std::vector<Block> inputs, outputs;

    void keep(const Arrays& reads, const Arrays& writes) {
        inputs = blocks_of(reads);
        outputs = blocks_of(writes);
    }

    void start(const Arrays& given, const Arrays& results) const {
        copy(inputs, blocks_of(given));
        checkCudaErrors(cudaGraphLaunch(executable, 0));
        copy(blocks_of(results), outputs);
    }
};

// By the address of the executable graph, which is a double as all numbers that operators get.
struct Graphs : std::map<double, Graph> {
    Graph& operator[](double address) {
        return try_emplace(address, Graph{(cudaGraphExec_t)(uintptr_t)address, {}, {}}).first->second;
    }
};

inline Graphs graphs;

inline void release() {
    memory.release();
    graphs.clear();
}

}  // namespace replay
