// The threads of one block, which take turns on one thread of the machine.
#pragma once
#include <cuda_runtime_api.h>

#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "fibers.h"

namespace emulation {

const unsigned WARP = 32, SLOT_BYTES = 64;
const size_t SHARED_ALIGNMENT = 128;

// The order in which blocks, warps and lanes run: ascending, or shuffled (FAKE_CUDA_SHUFFLE).
class Order {
public:
    Order();
    std::vector<unsigned> of(size_t count);  // a permutation of 0 … count - 1
    bool shuffled() const { return shuffled_; }

private:
    bool shuffled_;
    std::mt19937_64 random_;
};

// Copies to shared memory that are under way (cp.async), in batches.
struct Copy {
    void* to;
    const void* from;
    size_t bytes, zeros;
};

enum class State { UNSTARTED, READY, AT_WARP_BARRIER, AT_BLOCK_BARRIER, DONE };

struct Thread {
    State state;
    unsigned lanes;  // whom it waits for at a warp's barrier
    Stack* stack;
    std::deque<std::vector<Copy>> copies;  // the last batch is not committed yet
};

class Block {
public:
    static Block& of_this_thread();

    // Runs all threads of the block blockIdx; the sizes are in blockDim and gridDim.
    void run(const std::function<void()>& body, size_t shared_bytes, Order& order);
    // Whether an address lies below one of the stacks of this thread of the machine.
    static bool stack_overflows_at(const void* address);

    // For the running thread:
    void wait(State state, unsigned lanes);
    Thread& thread() { return threads_[current_]; }
    unsigned lane() const { return current_ % WARP; }
    void* slot(unsigned lane) { return &slots_[(current_ / WARP * WARP + lane) * SLOT_BYTES]; }
    void* dynamic_shared() {
        const size_t start = (size_t)shared_.data();
        return (void*)((start + SHARED_ALIGNMENT - 1) / SHARED_ALIGNMENT * SHARED_ALIGNMENT);
    }

private:
    Block();
    static void stack_main();
    void start(unsigned thread);
    void go_on(unsigned thread);
    bool next_unstarted();
    void run_warp(unsigned warp, Order& order);
    bool release_warp(unsigned first, unsigned end);
    [[noreturn]] void report_deadlock(unsigned first, unsigned end);

    const std::function<void()>* body_ = nullptr;
    void* home_ = nullptr;
    unsigned count_ = 0, current_ = 0;
    std::vector<Thread> threads_;
    std::vector<std::unique_ptr<Stack>> stacks_;
    std::vector<Stack*> unused_;
    std::vector<unsigned> to_start_;  // lanes of the warp in question, the next one last
    std::vector<char> slots_, shared_;
};

}  // namespace emulation
