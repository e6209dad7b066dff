// Atomic operations on device and shared memory; blocks run on several cores at once.
#pragma once
#include "halves.h"

namespace cuda_on_cpu {

template <size_t bytes> struct Word;
template <> struct Word<2> { using type = uint16_t; };
template <> struct Word<4> { using type = uint32_t; };
template <> struct Word<8> { using type = uint64_t; };

// *p = change(*p), as one step; returns what was there.
template <class T, class Change>
inline T exchange(T* p, Change change) {
    using W = typename Word<sizeof(T)>::type;
    W* const word = (W*)p;
    W before = __atomic_load_n(word, __ATOMIC_RELAXED);
    for (;;) {
        const T old = bits<T>(before);
        const W after = bits<W>((T)change(old));
        if (__atomic_compare_exchange_n(word, &before, after, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return old;
    }
}

}  // namespace cuda_on_cpu

#define COC_ATOMIC(NAME, EXPRESSION)                                                   \
    template <class T, class U> inline T NAME(T* p, U value) {                         \
        const T v = T(value);                                                          \
        return cuda_on_cpu::exchange(p, [=](T old) { return T(EXPRESSION); });         \
    }
COC_ATOMIC(atomicAdd, old + v)
COC_ATOMIC(atomicSub, old - v)
COC_ATOMIC(atomicMax, old > v ? old : v)
COC_ATOMIC(atomicMin, old < v ? old : v)
COC_ATOMIC(atomicAnd, old & v)
COC_ATOMIC(atomicOr, old | v)
COC_ATOMIC(atomicXor, old ^ v)
COC_ATOMIC(atomicExch, v)
COC_ATOMIC(atomicInc, old >= v ? T(0) : T(old + 1))
COC_ATOMIC(atomicDec, old == 0 || old > v ? v : T(old - 1))
#undef COC_ATOMIC

template <class T>
inline T atomicCAS(T* p, T expected, T value) {
    return cuda_on_cpu::exchange(p, [=](T old) { return old == expected ? value : old; });
}

template <class Format>
inline cuda_on_cpu::Pair<Format> atomicAdd(cuda_on_cpu::Pair<Format>* p, cuda_on_cpu::Pair<Format> v) {
    return {atomicAdd(&p->x, v.x), atomicAdd(&p->y, v.y)};  // as on a card, each half on its own
}
