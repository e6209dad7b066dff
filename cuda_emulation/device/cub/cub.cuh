// As much of CUB as Jittor uses. Functions of a block are C++ with barriers; functions of the whole
// card are kernels of one thread.
#pragma once
#include <algorithm>
#include <numeric>
#include <vector>

#include "../cuda_on_cpu/threads.h"
#include "../cuda_on_cpu/warps.h"

namespace cub {

struct Max { template <class T> T operator()(const T& a, const T& b) const { return a > b ? a : b; } };
struct Min { template <class T> T operator()(const T& a, const T& b) const { return a < b ? a : b; } };
struct Sum { template <class T> T operator()(const T& a, const T& b) const { return a + b; } };

template <class K, class V>
struct KeyValuePair {
    using Key = K;
    using Value = V;
    K key;
    V value;
};

inline unsigned LaneId() { return cuda_on_cpu::lane(); }

// ---- warps and blocks

template <class T, int LANES = 32>
struct WarpReduce {
    struct TempStorage {};
    explicit WarpReduce(TempStorage&) {}
    template <class Op>
    T Reduce(T value, Op op) {
        for (int by = LANES / 2; by; by /= 2) value = op(value, __shfl_down_sync(0xffffffffu, value, by, LANES));
        return value;
    }
    T Sum(T value) { return Reduce(value, cub::Sum()); }
};

// Blocks of one dimension of N threads.
template <class T, int N>
struct BlockReduce {
    struct TempStorage { T shown[N]; };
    explicit BlockReduce(TempStorage& storage) : storage_(storage) {}
    // The result is thread 0's; the other threads get something.
    template <class Op>
    T Reduce(T value, Op op) {
        storage_.shown[threadIdx.x] = value;
        __syncthreads();
        T result = value;
        if (threadIdx.x == 0)
            for (int i = 1; i < N; i++) result = op(result, storage_.shown[i]);
        __syncthreads();
        return result;
    }
    T Sum(T value) { return Reduce(value, cub::Sum()); }

private:
    TempStorage& storage_;
};

template <class T, int N>
struct BlockScan {
    struct TempStorage { T shown[N]; };
    explicit BlockScan(TempStorage& storage) : storage_(storage) {}
    template <int ITEMS>
    void InclusiveSum(T (&in)[ITEMS], T (&out)[ITEMS]) {
        T sum = T(0);
        for (int i = 0; i < ITEMS; i++) sum = sum + in[i];
        storage_.shown[threadIdx.x] = sum;
        __syncthreads();
        T before = T(0);
        for (unsigned i = 0; i < threadIdx.x; i++) before = before + storage_.shown[i];
        __syncthreads();
        for (int i = 0; i < ITEMS; i++) out[i] = before = before + in[i];
    }

private:
    TempStorage& storage_;
};

// ---- the whole card

namespace detail {

// CUB's functions are called twice: without storage to learn how much they need, then to compute.
template <class Work>
inline cudaError_t run(const char* name, void* storage, size_t& bytes, Work work) {
    if (!storage) {
        bytes = 1;
        return cudaSuccess;
    }
    cuda_on_cpu::launch(name, work, 1, 1);
    return cudaPeekAtLastError();
}

template <class K, class V>
inline void sort_pairs(const K* keys, K* keys_out, const V* values, V* values_out, long first, long last,
                       bool descending) {
    std::vector<long> order(last - first);
    std::iota(order.begin(), order.end(), first);
    std::stable_sort(order.begin(), order.end(), [&](long a, long b) {
        return descending ? keys[b] < keys[a] : keys[a] < keys[b];
    });
    std::vector<K> k;
    std::vector<V> v;
    for (const long i : order) {
        k.push_back(keys[i]);
        v.push_back(values[i]);
    }
    std::copy(k.begin(), k.end(), keys_out + first);
    std::copy(v.begin(), v.end(), values_out + first);
}

}  // namespace detail

struct DeviceScan {
    template <class In, class Out>
    static cudaError_t InclusiveSum(void* storage, size_t& bytes, In in, Out out, long count) {
        return detail::run("cub::DeviceScan::InclusiveSum", storage, bytes, [=] {
            if (count == 0) return;
            auto sum = in[0];
            out[0] = sum;
            for (long i = 1; i < count; i++) out[i] = sum = sum + in[i];
        });
    }
};

struct DeviceRadixSort {
    template <class K, class V>
    static cudaError_t SortPairs(void* storage, size_t& bytes, const K* keys, K* keys_out, const V* values,
                                 V* values_out, long count) {
        return detail::run("cub::DeviceRadixSort::SortPairs", storage, bytes, [=] {
            detail::sort_pairs(keys, keys_out, values, values_out, 0, count, false);
        });
    }
};

struct DeviceSegmentedRadixSort {
    template <class K, class V, class O>
    static cudaError_t sort(void* storage, size_t& bytes, const K* keys, K* keys_out, const V* values,
                            V* values_out, long segments, O starts, O ends, bool descending) {
        return detail::run("cub::DeviceSegmentedRadixSort", storage, bytes, [=] {
            for (long s = 0; s < segments; s++)
                detail::sort_pairs(keys, keys_out, values, values_out, starts[s], ends[s], descending);
        });
    }
    template <class K, class V, class O>
    static cudaError_t SortPairs(void* storage, size_t& bytes, const K* keys, K* keys_out, const V* values,
                                 V* values_out, long, long segments, O starts, O ends) {
        return sort(storage, bytes, keys, keys_out, values, values_out, segments, starts, ends, false);
    }
    template <class K, class V, class O>
    static cudaError_t SortPairsDescending(void* storage, size_t& bytes, const K* keys, K* keys_out,
                                           const V* values, V* values_out, long, long segments, O starts,
                                           O ends) {
        return sort(storage, bytes, keys, keys_out, values, values_out, segments, starts, ends, true);
    }
};

struct DeviceSegmentedReduce {
    template <class T, class O, class Better>
    static cudaError_t find(void* storage, size_t& bytes, const T* in, KeyValuePair<int, T>* out,
                            long segments, O starts, O ends, Better better) {
        return detail::run("cub::DeviceSegmentedReduce", storage, bytes, [=] {
            for (long s = 0; s < segments; s++) {
                long best = starts[s];
                for (long i = best + 1; i < ends[s]; i++)
                    if (better(in[i], in[best])) best = i;
                out[s] = {(int)(best - starts[s]), in[best]};
            }
        });
    }
    template <class T, class O>
    static cudaError_t ArgMin(void* storage, size_t& bytes, const T* in, KeyValuePair<int, T>* out,
                              long segments, O starts, O ends) {
        return find(storage, bytes, in, out, segments, starts, ends, [](T a, T b) { return a < b; });
    }
    template <class T, class O>
    static cudaError_t ArgMax(void* storage, size_t& bytes, const T* in, KeyValuePair<int, T>* out,
                              long segments, O starts, O ends) {
        return find(storage, bytes, in, out, segments, starts, ends, [](T a, T b) { return a > b; });
    }
};

template <class T>
struct CountingInputIterator {
    T first;
    explicit CountingInputIterator(T first) : first(first) {}
    T operator[](long i) const { return first + (T)i; }
};

template <class T, class Op, class In>
struct TransformInputIterator {
    In in;
    Op op;
    TransformInputIterator(In in, Op op) : in(in), op(op) {}
    T operator[](long i) const { return op(in[i]); }
};

struct DeviceSelect {
    template <class In, class Flags, class Out, class Count>
    static cudaError_t Flagged(void* storage, size_t& bytes, In in, Flags flags, Out out, Count selected,
                               long count) {
        return detail::run("cub::DeviceSelect::Flagged", storage, bytes, [=] {
            long n = 0;
            for (long i = 0; i < count; i++)
                if (flags[i]) out[n++] = in[i];
            *selected = n;
        });
    }
};

}  // namespace cub
