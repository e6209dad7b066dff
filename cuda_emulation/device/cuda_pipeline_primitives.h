// Asynchronous copies to shared memory (cp.async). A copy is done when it is waited for and not
// before; until then its place holds not-a-numbers.
#pragma once
#include "cuda_on_cpu/threads.h"

inline void __pipeline_memcpy_async(void* to, const void* from, size_t bytes, size_t zeros = 0) {
    cuda_on_cpu::copy_later(to, from, bytes, zeros);
}
inline void __pipeline_commit() { cuda_on_cpu::commit_copies(); }
inline void __pipeline_wait_prior(size_t newest) { cuda_on_cpu::wait_for_copies(newest); }
