// cuRAND on the CPU: uniform and normal numbers from one generator. The numbers are not cuRAND's.
#include <curand.h>

#include <cstdio>
#include <random>

#include "card.h"
#include "counters.h"
#include "device_memory.h"

using namespace emulation;

namespace {

struct Generator {
    std::mt19937_64 engine;
};

template <class T, class Distribution>
curandStatus_t fill(curandGenerator_t generator, T* out, size_t count, Distribution distribution,
                    bool is_normal) {
    if (!card_takes_work()) return CURAND_STATUS_LAUNCH_FAILURE;
    if (is_normal && count % 2) return CURAND_STATUS_LENGTH_NOT_MULTIPLE;
    if (!within_allocation(out, count * sizeof(T))) {
        emulation::count(ERRORS);
        fprintf(stderr, "cuda_emulation: cuRAND: %zu numbers leave device memory\n", count);
        return CURAND_STATUS_LAUNCH_FAILURE;
    }
    emulation::count(RANDOM_FILLS);
    if (counts_only()) return CURAND_STATUS_SUCCESS;
    const Operation operation("random numbers of cuRAND");
    auto& engine = ((Generator*)generator)->engine;
    for (size_t i = 0; i < count; i++) out[i] = distribution(engine);
    return CURAND_STATUS_SUCCESS;
}

// Uniform in (0, 1], as cuRAND's.
template <class T>
struct Uniform {
    std::uniform_real_distribution<T> distribution;
    T operator()(std::mt19937_64& engine) { return 1 - distribution(engine); }
};

}  // namespace

extern "C" {

curandStatus_t curandCreateGenerator(curandGenerator_t* generator, curandRngType_t) {
    *generator = (curandGenerator_t) new Generator;
    return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandDestroyGenerator(curandGenerator_t generator) {
    delete (Generator*)generator;
    return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandSetStream(curandGenerator_t, cudaStream_t) { return CURAND_STATUS_SUCCESS; }
curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_t generator, unsigned long long s) {
    ((Generator*)generator)->engine.seed(s);
    return CURAND_STATUS_SUCCESS;
}

curandStatus_t curandGenerateUniform(curandGenerator_t g, float* out, size_t n) {
    return fill(g, out, n, Uniform<float>{}, false);
}
curandStatus_t curandGenerateUniformDouble(curandGenerator_t g, double* out, size_t n) {
    return fill(g, out, n, Uniform<double>{}, false);
}
curandStatus_t curandGenerateNormal(curandGenerator_t g, float* out, size_t n, float mean, float sd) {
    return fill(g, out, n, std::normal_distribution<float>(mean, sd), true);
}
curandStatus_t curandGenerateNormalDouble(curandGenerator_t g, double* out, size_t n, double mean,
                                          double sd) {
    return fill(g, out, n, std::normal_distribution<double>(mean, sd), true);
}

}  // extern "C"
