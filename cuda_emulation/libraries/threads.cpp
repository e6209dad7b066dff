// How the threads of a block take turns. A thread runs until it ends or waits. Where no thread
// waits, all of them run one after another on one stack; each that waits keeps its stack.
#include "threads.h"

#include <signal.h>

#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <numeric>

#include "card.h"
#include "cuda_on_cpu/threads.h"

__thread uint3 threadIdx, blockIdx;
__thread dim3 blockDim, gridDim;

namespace emulation {

Order::Order() : shuffled_(getenv("FAKE_CUDA_SHUFFLE") != nullptr) {
    if (shuffled_) random_.seed((unsigned long)setting("FAKE_CUDA_SHUFFLE", 0));
}

std::vector<unsigned> Order::of(size_t count) {
    std::vector<unsigned> order(count);
    std::iota(order.begin(), order.end(), 0u);
    if (shuffled_) std::shuffle(order.begin(), order.end(), random_);
    return order;
}

// The fault handler needs a stack of its own where a thread has used up its stack.
Block::Block() {
    static const size_t BYTES = 64 << 10;
    stack_t alternate = {};
    alternate.ss_sp = malloc(BYTES);
    alternate.ss_size = BYTES;
    sigaltstack(&alternate, nullptr);
}

// Never destroyed: its stacks serve all kernels of this thread of the machine.
static __thread Block* mine = nullptr;

Block& Block::of_this_thread() {
    if (!mine) mine = new Block;
    return *mine;
}

bool Block::stack_overflows_at(const void* address) {
    if (!mine) return false;
    return std::any_of(mine->stacks_.begin(), mine->stacks_.end(),
                       [&](const std::unique_ptr<Stack>& s) { return s->overflows_at(address); });
}

// Where a stack begins: it runs threads that have not started, until one of them waits; the
// scheduler then gives the others another stack.
void Block::stack_main() {
    Block& block = of_this_thread();
    for (;;) {
        (*block.body_)();
        Thread& done = block.thread();
        done.copies.clear();  // copies that it never waited for are seen by nobody
        done.state = State::DONE;
        Stack* const stack = done.stack;
        if (block.next_unstarted()) {
            block.thread().stack = stack;
            continue;
        }
        block.unused_.push_back(stack);
        emulation_switch(&stack->pointer, block.home_);
    }
}

// Makes the next thread of the warp that has not started the running one.
bool Block::next_unstarted() {
    if (to_start_.empty()) return false;
    current_ = to_start_.back();
    to_start_.pop_back();
    threads_[current_].state = State::READY;
    threadIdx = {current_ % blockDim.x, current_ / blockDim.x % blockDim.y,
                 current_ / blockDim.x / blockDim.y};
    return true;
}

void Block::go_on(unsigned thread) {
    current_ = thread;
    threadIdx = {thread % blockDim.x, thread / blockDim.x % blockDim.y,
                 thread / blockDim.x / blockDim.y};
    threads_[thread].state = State::READY;
    emulation_switch(&home_, threads_[thread].stack->pointer);
}

void Block::wait(State state, unsigned lanes) {
    Thread& t = thread();
    t.state = state;
    t.lanes = lanes;
    emulation_switch(&t.stack->pointer, home_);
}

void Block::run_warp(unsigned warp, Order& order) {
    const unsigned first = warp * WARP, end = std::min(first + WARP, count_);
    std::vector<unsigned> lanes;
    if (order.shuffled()) lanes = order.of(end - first);
    const auto at = [&](unsigned i) { return first + (lanes.empty() ? i : lanes[i]); };

    to_start_.clear();
    for (unsigned i = end - first; i-- > 0;)
        if (threads_[at(i)].state == State::UNSTARTED) to_start_.push_back(at(i));
    while (next_unstarted()) {
        if (unused_.empty()) {
            stacks_.emplace_back(new Stack);
            unused_.push_back(stacks_.back().get());
        }
        Stack* const stack = unused_.back();
        unused_.pop_back();
        stack->enter(stack_main);
        thread().stack = stack;
        emulation_switch(&home_, stack->pointer);
    }
    do {
        for (unsigned i = 0; i < end - first; i++)
            if (threads_[at(i)].state == State::READY) go_on(at(i));
    } while (release_warp(first, end));
}

// Lets those go on for whom all lanes they named are there; false where none waits for its warp.
bool Block::release_warp(unsigned first, unsigned end) {
    bool waiting = false, released = false;
    unsigned arrived[WARP] = {}, running = 0;
    for (unsigned t = first; t < end; t++) {
        const Thread& thread = threads_[t];
        arrived[t - first] = thread.state == State::AT_WARP_BARRIER ? thread.lanes : 0;
        if (thread.state != State::DONE) running |= 1u << (t - first);
        waiting |= thread.state == State::AT_WARP_BARRIER;
    }
    for (unsigned l = 0; l < end - first; l++) {
        if (!arrived[l]) continue;
        bool complete = true;
        for (unsigned other = 0; other < end - first; other++)
            if (arrived[l] & running & (1u << other)) complete &= arrived[other] == arrived[l];
        if (!complete) continue;
        threads_[first + l].state = State::READY;
        released = true;
    }
    if (waiting && !released) report_deadlock(first, end);
    return released;
}

void Block::report_deadlock(unsigned first, unsigned end) {
    fprintf(stderr, "cuda_emulation: threads of warp %u of block (%u, %u, %u) wait for each other\n",
            first / WARP, blockIdx.x, blockIdx.y, blockIdx.z);
    for (unsigned t = first; t < end; t++) {
        const Thread& thread = threads_[t];
        if (thread.state == State::AT_WARP_BARRIER)
            fprintf(stderr, "  lane %u waits for the lanes %#x\n", t - first, thread.lanes);
        if (thread.state == State::AT_BLOCK_BARRIER)
            fprintf(stderr, "  lane %u waits in __syncthreads\n", t - first);
    }
    abort();
}

void Block::run(const std::function<void()>& body, size_t shared_bytes, Order& order) {
    count_ = blockDim.x * blockDim.y * blockDim.z;
    body_ = &body;
    if (threads_.size() < count_) threads_.resize(count_);
    for (unsigned t = 0; t < count_; t++) threads_[t].state = State::UNSTARTED;
    const unsigned warps = (count_ + WARP - 1) / WARP;
    slots_.resize(std::max<size_t>(slots_.size(), warps * WARP * SLOT_BYTES));
    // Not-a-numbers: whoever reads what nobody wrote is seen.
    shared_.assign(shared_bytes + SHARED_ALIGNMENT, (char)0xff);

    std::vector<unsigned> warp_order = order.of(warps);
    for (bool waiting = true; waiting;) {
        waiting = false;
        for (const unsigned warp : warp_order) run_warp(warp, order);
        for (unsigned t = 0; t < count_; t++) {
            if (threads_[t].state != State::AT_BLOCK_BARRIER) continue;
            threads_[t].state = State::READY;
            waiting = true;
        }
    }
    body_ = nullptr;
}

}  // namespace emulation

namespace cuda_on_cpu {

using emulation::Block;
using emulation::State;

void wrong(const char* reason, ...) {
    fprintf(stderr, "cuda_emulation: thread (%u, %u, %u) of block (%u, %u, %u): ", threadIdx.x,
            threadIdx.y, threadIdx.z, blockIdx.x, blockIdx.y, blockIdx.z);
    va_list rest;
    va_start(rest, reason);
    vfprintf(stderr, reason, rest);
    va_end(rest);
    fputc('\n', stderr);
    abort();
}

void wait_for_block() { Block::of_this_thread().wait(State::AT_BLOCK_BARRIER, 0); }

void wait_for_warp(unsigned lanes) {
    Block& block = Block::of_this_thread();
    if (!(lanes >> block.lane() & 1))
        wrong("lane %u waits for the lanes %#x, to which it does not belong", block.lane(), lanes);
    block.wait(State::AT_WARP_BARRIER, lanes);
}

unsigned lane() { return Block::of_this_thread().lane(); }
void* slot(unsigned lane) { return Block::of_this_thread().slot(lane); }
void* dynamic_shared() { return Block::of_this_thread().dynamic_shared(); }

void copy_later(void* to, const void* from, size_t bytes, size_t zeros) {
    auto& copies = Block::of_this_thread().thread().copies;
    if (bytes != 4 && bytes != 8 && bytes != 16) wrong("cp.async of %zu bytes", bytes);
    if ((size_t)to % bytes || (size_t)from % bytes || zeros > bytes)
        wrong("cp.async of %zu bytes from %p to %p: wrong alignment", bytes, from, to);
    if (copies.empty()) copies.emplace_back();
    memset(to, 0xff, bytes);  // whoever reads before waiting reads not-a-numbers
    copies.back().push_back({to, from, bytes, zeros});
}

void commit_copies() {
    auto& copies = Block::of_this_thread().thread().copies;
    if (copies.empty()) copies.emplace_back();
    copies.emplace_back();
}

void wait_for_copies(size_t newest) {
    auto& copies = Block::of_this_thread().thread().copies;
    // The last batch is open: copies that are not committed are not waited for.
    while (copies.size() > newest + 1) {
        for (const emulation::Copy& c : copies.front()) {
            memcpy(c.to, c.from, c.bytes - c.zeros);
            memset((char*)c.to + c.bytes - c.zeros, 0, c.zeros);
        }
        copies.pop_front();
    }
}

}  // namespace cuda_on_cpu
