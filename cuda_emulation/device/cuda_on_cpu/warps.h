// Functions of a warp: each lane shows its value to the others, between two barriers.
#pragma once
#include "halves.h"
#include "threads.h"

namespace cuda_on_cpu {

// What `source` shows; `source` is asked for after all lanes have shown their values.
template <class T>
inline T from_lane(unsigned lanes, T value, unsigned source) {
    static_assert(sizeof(T) <= 8, "a value of at most 8 bytes");
    memcpy(slot(lane()), (const void*)&value, sizeof value);
    wait_for_warp(lanes);
    T out;
    memcpy((void*)&out, slot(source), sizeof out);
    wait_for_warp(lanes);
    if (!(lanes >> source & 1)) wrong("a shuffle reads lane %u, which is not among %#x", source, lanes);
    return out;
}

// The first lane of the calling lane's group of `width` lanes.
inline unsigned group(int width) { return lane() / (unsigned)width * (unsigned)width; }

}  // namespace cuda_on_cpu

template <class T> inline T __shfl_sync(unsigned lanes, T value, int source, int width = 32) {
    return cuda_on_cpu::from_lane(lanes, value, cuda_on_cpu::group(width) + (unsigned)source % width);
}
template <class T> inline T __shfl_xor_sync(unsigned lanes, T value, int mask, int width = 32) {
    const unsigned source = cuda_on_cpu::lane() ^ (unsigned)mask;
    const bool reachable = source < cuda_on_cpu::group(width) + width;
    return cuda_on_cpu::from_lane(lanes, value, reachable ? source : cuda_on_cpu::lane());
}
template <class T> inline T __shfl_down_sync(unsigned lanes, T value, unsigned by, int width = 32) {
    const unsigned source = cuda_on_cpu::lane() + by;
    const bool reachable = source < cuda_on_cpu::group(width) + width;
    return cuda_on_cpu::from_lane(lanes, value, reachable ? source : cuda_on_cpu::lane());
}
template <class T> inline T __shfl_up_sync(unsigned lanes, T value, unsigned by, int width = 32) {
    const bool reachable = cuda_on_cpu::lane() >= cuda_on_cpu::group(width) + by;
    return cuda_on_cpu::from_lane(lanes, value,
                                  reachable ? cuda_on_cpu::lane() - by : cuda_on_cpu::lane());
}

inline unsigned __ballot_sync(unsigned lanes, int predicate) {
    *(int*)cuda_on_cpu::slot(cuda_on_cpu::lane()) = predicate;
    cuda_on_cpu::wait_for_warp(lanes);
    unsigned out = 0;
    for (unsigned l = 0; l < 32; l++)
        if (lanes >> l & 1 && *(int*)cuda_on_cpu::slot(l)) out |= 1u << l;
    cuda_on_cpu::wait_for_warp(lanes);
    return out;
}
inline int __any_sync(unsigned lanes, int predicate) { return __ballot_sync(lanes, predicate) != 0; }
inline int __all_sync(unsigned lanes, int predicate) { return __ballot_sync(lanes, predicate) == lanes; }
