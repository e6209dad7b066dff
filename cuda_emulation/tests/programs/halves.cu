// Halves are rounded after every operation; the results are shown as bits.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "output.h"

template <class T>
__device__ unsigned as_bits(T value) {
    unsigned short out;
    memcpy(&out, &value, 2);
    return out;
}

template <class T>
__global__ void operations(const float* x, const float* y, unsigned* out, int n) {
    const int i = threadIdx.x;
    const T a = T(x[i]), b = T(y[i]);
    out[i] = as_bits<T>(a + b);
    out[n + i] = as_bits<T>(a * b);
    out[2 * n + i] = as_bits<T>(a / b);
    out[3 * n + i] = as_bits<T>(a - b);
    out[4 * n + i] = as_bits<T>(__hfma(a, b, a));
    out[5 * n + i] = a < b;
}

__global__ void pairs(const float* x, float* out) {
    const __half2 a = __floats2half2_rn(x[0], x[1]);
    const __half2 b = __hadd2(a, __half2half2(__float2half(1.f)));
    const float2 f = __half22float2(__hfma2(a, b, b));
    out[0] = f.x;
    out[1] = f.y;
    const __nv_bfloat162 c = __floats2bfloat162_rn(x[0], x[1]);
    const float2 g = __bfloat1622float2(__hmul2(c, c));
    out[2] = g.x;
    out[3] = g.y;
    out[4] = __low2float(a);
    out[5] = __half2float(__high2half(a));
    out[6] = __half2float(hexp(a.x));
    out[7] = (float)sizeof(__half2);
}

__global__ void kinds(const float* x, float* out) {
    const float number = __half2float(__float2half(x[threadIdx.x]));  // 70000 becomes infinite
    out[threadIdx.x] = isnan(number) + 2 * isinf(number) + 4 * isfinite(number);
}

int main() {
    std::vector<float> x, y;
    for (int i = 0; i < 64; i++) {
        x.push_back((float)(i - 20) * 0.3137f);
        y.push_back((float)(i * i % 41 - 20) * 1.7f + 0.01f);
    }
    Array<float> dx(x), dy(y), out(8);
    Array<unsigned> bits(6 * 64);
    show("x", x);
    show("y", y);
    operations<__half><<<1, 64>>>(dx.device, dy.device, bits.device, 64);
    show("half", bits.down());
    operations<__nv_bfloat16><<<1, 64>>>(dx.device, dy.device, bits.device, 64);
    show("bfloat16", bits.down());
    pairs<<<1, 1>>>(dx.device, out.device);
    show("pairs", out.down());
    Array<float> special({0.f, NAN, INFINITY, 70000.f, 1.f}), found(5);
    kinds<<<1, 5>>>(special.device, found.device);
    show("kinds", found.down());
    must(cudaGetLastError());
}
