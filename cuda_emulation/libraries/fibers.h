// Stacks between which one thread of the machine changes by a few instructions. POSIX's
// swapcontext does the same with two system calls each time, for a signal mask that no kernel has.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#if !defined(__x86_64__)
#error "The change of stacks is written for x86-64"
#endif

// Stores the stack pointer in *from, takes `to` as the stack pointer, and goes on there. The
// System V ABI's registers that a call preserves lie on the stack; SSE's control word is the same
// for all threads of a kernel.
extern "C" void emulation_switch(void** from, void* to);

namespace emulation {

const size_t STACK_BYTES = 128 << 10;

// One stack with a closed page below.
class Stack {
public:
    Stack() {
        base_ = (char*)mmap(nullptr, PAGE + STACK_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base_ == MAP_FAILED || mprotect(base_, PAGE, PROT_NONE)) {
            perror("cuda_emulation: the stack of a thread");
            abort();
        }
    }
    ~Stack() { munmap(base_, PAGE + STACK_BYTES); }
    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;

    // The next switch to `pointer` enters `function`, which must never return.
    void enter(void (*function)()) {
        void** top = (void**)(base_ + PAGE + STACK_BYTES);
        *--top = nullptr;            // where `function` would return to; keeps the ABI's alignment
        *--top = (void*)function;    // where emulation_switch returns to
        for (int i = 0; i < 6; i++) *--top = nullptr;  // the preserved registers
        pointer = top;
    }
    bool overflows_at(const void* address) const {
        return address >= base_ && address < base_ + PAGE;
    }

    void* pointer = nullptr;

private:
    static const size_t PAGE = 4096;
    char* base_;
};

}  // namespace emulation
