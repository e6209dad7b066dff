// Functions of the device that C++ does not have. The fast ones are computed exactly.
#pragma once
#include <algorithm>

#include "halves.h"

inline int __float_as_int(float f) { return cuda_on_cpu::bits<int>(f); }
inline unsigned __float_as_uint(float f) { return cuda_on_cpu::bits<unsigned>(f); }
inline float __int_as_float(int i) { return cuda_on_cpu::bits<float>(i); }
inline float __uint_as_float(unsigned i) { return cuda_on_cpu::bits<float>(i); }
inline long long __double_as_longlong(double f) { return cuda_on_cpu::bits<long long>(f); }
inline double __longlong_as_double(long long i) { return cuda_on_cpu::bits<double>(i); }

template <class T> inline T __ldg(const T* p) { return *p; }
template <class T> inline T __ldcg(const T* p) { return *p; }
template <class T> inline T __ldcs(const T* p) { return *p; }
template <class T> inline void __stcs(T* p, T value) { *p = value; }
template <class T> inline size_t __cvta_generic_to_shared(T* p) { return (size_t)p; }

inline float rsqrtf(float x) { return 1.f / std::sqrt(x); }
inline double rsqrt(double x) { return 1. / std::sqrt(x); }
inline float fdividef(float a, float b) { return a / b; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return std::exp(x); }
inline float __exp10f(float x) { return std::pow(10.f, x); }
inline float __logf(float x) { return std::log(x); }
inline float __log2f(float x) { return std::log2(x); }
inline float __powf(float x, float y) { return std::pow(x, y); }
inline float __sinf(float x) { return std::sin(x); }
inline float __cosf(float x) { return std::cos(x); }
inline float __tanf(float x) { return std::tan(x); }
inline float __saturatef(float x) { return x > 0 ? x < 1 ? x : 1.f : 0.f; }
inline float __frcp_rn(float x) { return 1.f / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __frsqrt_rn(float x) { return 1.f / std::sqrt(x); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline int __float2int_rn(float x) { return (int)std::nearbyint(x); }
inline int __float2int_rd(float x) { return (int)std::floor(x); }
inline int __float2int_rz(float x) { return (int)x; }
inline float __int2float_rn(int x) { return (float)x; }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
inline long long clock64() { return (long long)__builtin_ia32_rdtsc(); }

// max and min of two different types of numbers, as the device's headers have them.
#define COC_EITHER(NAME, OPERATOR)                                                          \
    template <class T, class U>                                                             \
    inline typename std::enable_if<std::is_arithmetic<T>::value && std::is_arithmetic<U>::value, \
                                   typename std::common_type<T, U>::type>::type             \
    NAME(T a, U b) {                                                                        \
        using C = typename std::common_type<T, U>::type;                                    \
        return (C)a OPERATOR (C)b ? (C)a : (C)b;                                            \
    }
COC_EITHER(max, >)
COC_EITHER(min, <)
#undef COC_EITHER

// A kernel's variables on the device are variables of the host; the copy is counted all the same.
template <class T>
inline cudaError_t cudaMemcpyToSymbol(T& symbol, const void* from, size_t bytes, size_t offset = 0,
                                      cudaMemcpyKind kind = cudaMemcpyHostToDevice) {
    return ::cudaMemcpyToSymbol((const void*)&symbol, from, bytes, offset, kind);
}
