// __half and __nv_bfloat16, rounded after every operation as on a card; their pairs, and the
// functions of cuda_fp16.h and cuda_bf16.h that kernels use.
#pragma once
#include <math.h>  // and not <cmath>: isnan and isinf are global, as in CUDA
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace cuda_on_cpu {

template <class To, class From>
inline To bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "the same number of bits");
    To to;
    memcpy((void*)&to, (const void*)&from, sizeof to);
    return to;
}

struct Half {  // IEEE 754 binary16
    static uint16_t narrow(float f) { return bits<uint16_t>((_Float16)f); }
    static float widen(uint16_t x) { return (float)bits<_Float16>(x); }
};

struct BFloat16 {  // the upper half of a float, rounded to the nearest, ties to even
    static uint16_t narrow(float f) {
        const uint32_t u = bits<uint32_t>(f);
        if (f != f) return 0x7fff;
        return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
    }
    static float widen(uint16_t x) { return bits<float>((uint32_t)x << 16); }
};

struct Number {};  // the base of all these formats

// `N` is the format's own struct, which derives from this.
template <class N, class Format>
struct Narrow : Number {
    uint16_t x;

    Narrow() = default;
    template <class T, class = typename std::enable_if<std::is_arithmetic<T>::value>::type>
    Narrow(T value) : x(Format::narrow((float)value)) {}

    operator float() const { return Format::widen(x); }
    explicit operator bool() const { return Format::widen(x) != 0; }

    N& operator+=(N o) { return self() = self() + o; }
    N& operator-=(N o) { return self() = self() - o; }
    N& operator*=(N o) { return self() = self() * o; }
    N& operator/=(N o) { return self() = self() / o; }
    N operator-() const { return from_bits(x ^ 0x8000); }

    friend N operator+(N a, N b) { return (float)a + (float)b; }
    friend N operator-(N a, N b) { return (float)a - (float)b; }
    friend N operator*(N a, N b) { return (float)a * (float)b; }
    friend N operator/(N a, N b) { return (float)a / (float)b; }
    friend bool operator<(N a, N b) { return (float)a < (float)b; }
    friend bool operator>(N a, N b) { return (float)a > (float)b; }
    friend bool operator<=(N a, N b) { return (float)a <= (float)b; }
    friend bool operator>=(N a, N b) { return (float)a >= (float)b; }
    friend bool operator==(N a, N b) { return (float)a == (float)b; }
    friend bool operator!=(N a, N b) { return (float)a != (float)b; }

    static N from_bits(unsigned bits) {
        N out;
        out.x = (uint16_t)bits;
        return out;
    }

private:
    N& self() { return static_cast<N&>(*this); }
};

template <class N>
struct alignas(4) Pair {
    N x, y;
};

}  // namespace cuda_on_cpu

// Structs, and not other names for templates: functions of Jittor's that take them are compiled
// with the toolkit's own headers elsewhere, and linked by these names.
#define COC_NUMBER(NAME, FORMAT)                                                  \
    struct NAME : cuda_on_cpu::Narrow<NAME, cuda_on_cpu::FORMAT> {                \
        using Narrow::Narrow;                                                     \
        NAME() = default;                                                         \
        NAME(const NAME&) = default;                                              \
        NAME(const volatile NAME& o) { x = o.x; }                                 \
        NAME& operator=(const NAME&) = default;                                   \
        volatile NAME& operator=(const NAME& o) volatile { x = o.x; return *this; } \
    };
COC_NUMBER(__half, Half)
COC_NUMBER(__nv_bfloat16, BFloat16)
#undef COC_NUMBER

using __half2 = cuda_on_cpu::Pair<__half>;
using __nv_bfloat162 = cuda_on_cpu::Pair<__nv_bfloat16>;
using half = __half;
using half2 = __half2;
using nv_bfloat16 = __nv_bfloat16;
using nv_bfloat162 = __nv_bfloat162;
struct __half_raw { unsigned short x; };

// ---- functions of both formats
#define COC_P cuda_on_cpu::Pair<N>
#define COC_BOTH                                                                                \
    template <class N, class = typename std::enable_if<                                         \
                           std::is_base_of<cuda_on_cpu::Number, N>::value>::type>               \
    inline

#define COC_ONE(NAME, EXPRESSION) \
    COC_BOTH N NAME(N h) { const float a = h; return N(EXPRESSION); }
COC_ONE(hexp, std::exp(a))
COC_ONE(hexp2, std::exp2(a))
COC_ONE(hlog, std::log(a))
COC_ONE(hlog2, std::log2(a))
COC_ONE(hsqrt, std::sqrt(a))
COC_ONE(hrsqrt, 1.f / std::sqrt(a))
COC_ONE(hrcp, 1.f / a)
COC_ONE(hsin, std::sin(a))
COC_ONE(hcos, std::cos(a))
COC_ONE(hfloor, std::floor(a))
COC_ONE(hceil, std::ceil(a))
COC_ONE(hrint, std::nearbyint(a))
COC_ONE(htrunc, std::trunc(a))
COC_ONE(__habs, std::fabs(a))
COC_ONE(__hneg, -a)
#undef COC_ONE

#define COC_TWO(NAME, EXPRESSION)                                                       \
    COC_BOTH N NAME(N g, N h) { const float a = g, b = h; return N(EXPRESSION); } \
    COC_BOTH COC_P NAME##2(COC_P g, COC_P h) { return {NAME(g.x, h.x), NAME(g.y, h.y)}; }
COC_TWO(__hadd, a + b)
COC_TWO(__hsub, a - b)
COC_TWO(__hmul, a * b)
COC_TWO(__hmax, a != a ? b : b != b ? a : a > b ? a : b)
COC_TWO(__hmin, a != a ? b : b != b ? a : a < b ? a : b)
#undef COC_TWO
COC_BOTH N __hdiv(N a, N b) { return a / b; }
COC_BOTH COC_P __h2div(COC_P a, COC_P b) { return {a.x / b.x, a.y / b.y}; }
COC_BOTH N __hfma(N a, N b, N c) { return std::fma((float)a, (float)b, (float)c); }
COC_BOTH COC_P __hfma2(COC_P a, COC_P b, COC_P c) {
    return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};
}
COC_BOTH COC_P __hneg2(COC_P a) { return {-a.x, -a.y}; }

#define COC_COMPARE(NAME, OPERATOR) COC_BOTH bool NAME(N a, N b) { return a OPERATOR b; }
COC_COMPARE(__hlt, <) COC_COMPARE(__hle, <=) COC_COMPARE(__hgt, >)
COC_COMPARE(__hge, >=) COC_COMPARE(__heq, ==) COC_COMPARE(__hne, !=)
#undef COC_COMPARE
COC_BOTH bool __hisnan(N a) { return std::isnan((float)a); }
COC_BOTH int __hisinf(N a) { return std::isinf((float)a) ? ((float)a > 0 ? 1 : -1) : 0; }

COC_BOTH COC_P operator+(COC_P a, COC_P b) { return {a.x + b.x, a.y + b.y}; }
COC_BOTH COC_P operator-(COC_P a, COC_P b) { return {a.x - b.x, a.y - b.y}; }
COC_BOTH COC_P operator*(COC_P a, COC_P b) { return {a.x * b.x, a.y * b.y}; }

COC_BOTH N __low2half(COC_P p) { return p.x; }
COC_BOTH N __high2half(COC_P p) { return p.y; }
COC_BOTH N __low2bfloat16(COC_P p) { return p.x; }
COC_BOTH N __high2bfloat16(COC_P p) { return p.y; }
COC_BOTH float __low2float(COC_P p) { return p.x; }
COC_BOTH float __high2float(COC_P p) { return p.y; }
#undef COC_BOTH
#undef COC_P

// ---- conversions of __half
inline float __half2float(__half h) { return h; }
inline __half __float2half(float f) { return f; }
inline __half __float2half_rn(float f) { return f; }
inline __half __double2half(double f) { return (float)f; }
inline __half __int2half_rn(int i) { return (float)i; }
inline int __half2int_rn(__half h) { return (int)std::nearbyint((float)h); }
inline __half2 __halves2half2(__half a, __half b) { return {a, b}; }
inline __half2 __half2half2(__half a) { return {a, a}; }
inline __half2 make_half2(__half a, __half b) { return {a, b}; }
inline __half2 __float2half2_rn(float f) { return {f, f}; }
inline __half2 __floats2half2_rn(float a, float b) { return {a, b}; }
inline __half2 __float22half2_rn(float2 f) { return {f.x, f.y}; }
inline float2 __half22float2(__half2 h) { return make_float2(h.x, h.y); }
inline unsigned short __half_as_ushort(__half a) { return a.x; }
inline short __half_as_short(__half a) { return (short)a.x; }
inline __half __ushort_as_half(unsigned short u) { return __half::from_bits(u); }
inline __half __short_as_half(short u) { return __half::from_bits((unsigned short)u); }

// ---- conversions of __nv_bfloat16
inline float __bfloat162float(__nv_bfloat16 h) { return h; }
inline __nv_bfloat16 __float2bfloat16(float f) { return f; }
inline __nv_bfloat16 __float2bfloat16_rn(float f) { return f; }
inline __nv_bfloat16 __double2bfloat16(double f) { return (float)f; }
inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 a, __nv_bfloat16 b) { return {a, b}; }
inline __nv_bfloat162 __bfloat162bfloat162(__nv_bfloat16 a) { return {a, a}; }
inline __nv_bfloat162 make_bfloat162(__nv_bfloat16 a, __nv_bfloat16 b) { return {a, b}; }
inline __nv_bfloat162 __float2bfloat162_rn(float f) { return {f, f}; }
inline __nv_bfloat162 __floats2bfloat162_rn(float a, float b) { return {a, b}; }
inline __nv_bfloat162 __float22bfloat162_rn(float2 f) { return {f.x, f.y}; }
inline float2 __bfloat1622float2(__nv_bfloat162 h) { return make_float2(h.x, h.y); }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 a) { return a.x; }
inline short __bfloat16_as_short(__nv_bfloat16 a) { return (short)a.x; }
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short u) { return __nv_bfloat16::from_bits(u); }
