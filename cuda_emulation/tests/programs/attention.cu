// This project's attention, forward and backward; the results are compared with numpy's.
#include "attention_backward.cuh"

#include <string>

#include "output.h"

static std::vector<float> numbers(int n, int seed) {
    std::vector<float> out;
    for (int i = 0; i < n; i++) out.push_back((float)((i * 37 + seed * 11) % 53 - 26) / 16.f);
    return out;
}

// A batch of 2, 37 queries, 45 keys, 2 heads of `size`.
template <class T, int D> static void run(const char* name, int size) {
    const int B = 2, N = 37, M = 45, H = 2, C = H * size;
    const auto narrowed = [](const std::vector<float>& in) {
        std::vector<T> out;
        for (const float x : in) out.push_back(tile::from_float<T>(x));
        return out;
    };
    const auto print = [&](const char* what, const std::vector<T>& in) {
        std::vector<float> out;
        for (const T x : in) out.push_back(tile::to_float(x));
        show((std::string(name) + "_" + what).c_str(), out);
    };
    Array<T> q(narrowed(numbers(B * N * C, 1))), k(narrowed(numbers(B * M * C, 2))), v(narrowed(numbers(B * M * C, 3)));
    Array<T> g(narrowed(numbers(B * N * C, 4))), out(B * N * C), dq(B * N * C), dk(B * M * C), dv(B * M * C);
    Array<float> lse(B * H * N), products(B * H * N);
    const float scale = 0.125f;
    const attention::Segment<T> segment{k.device, v.device, M, false, scale};
    attention::run_forward<T, D>(q.device, segment, attention::Segment<T>{}, out.device, lse.device, B, N, H, size);
    print("out", out.down());
    attention::run_backward<T, D>(q.device, k.device, v.device, out.device, lse.device, g.device, dq.device, dk.device, dv.device,
                                  products.device, B, N, M, H, size, false, scale);
    print("dq", dq.down());
    print("dk", dk.down());
    print("dv", dv.down());
}

int main() {
    run<__half, 48>("half", 40);
    run<float, 64>("float", 64);
}
