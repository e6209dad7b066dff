// A line of results: a name, then numbers. conftest.py reads them.
#pragma once
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

template <class T>
void show(const char* name, const std::vector<T>& values) {
    printf("%s", name);
    for (const T& v : values) printf(" %.17g", (double)v);
    printf("\n");
}

inline void must(cudaError_t error) {
    if (error == cudaSuccess) return;
    printf("failed %s\n", cudaGetErrorName(error));
    exit(1);
}

// An array on the card with its copy on the host.
template <class T>
struct Array {
    T* device = nullptr;
    std::vector<T> host;

    explicit Array(size_t n, T value = T()) : host(n, value) { up(); }
    explicit Array(std::vector<T> values) : host(values) { up(); }
    ~Array() { cudaFree(device); }
    Array(const Array&) = delete;

    const std::vector<T>& down() {
        must(cudaMemcpy(host.data(), device, host.size() * sizeof(T), cudaMemcpyDeviceToHost));
        return host;
    }

private:
    void up() {
        must(cudaMalloc((void**)&device, host.size() * sizeof(T)));
        must(cudaMemcpy(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice));
    }
};
