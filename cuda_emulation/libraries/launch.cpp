// A kernel's launch: what a card would refuse, then all blocks, on all cores.
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "card.h"
#include "counters.h"
#include "cuda_on_cpu/threads.h"
#include "device_memory.h"
#include "errors.h"
#include "graphs.h"
#include "threads.h"

namespace emulation {
namespace {

// The dynamic shared memory that each kernel was allowed, by its name.
std::mutex allowed_mutex;
std::map<std::string, int>& allowed() {
    static auto* const only = new std::map<std::string, int>;
    return *only;
}

size_t allowed_for(const char* kernel) {
    const std::lock_guard<std::mutex> lock(allowed_mutex);
    const auto found = allowed().find(kernel);
    return found == allowed().end() ? SHARED_BYTES : std::max<size_t>(SHARED_BYTES, found->second);
}

bool has_valid_shape(dim3 g, dim3 b) {
    if (!g.x || !g.y || !g.z || !b.x || !b.y || !b.z) return false;
    return g.x <= 2147483647u && g.y <= 65535 && g.z <= 65535 && b.x <= 1024 && b.y <= 1024 &&
           b.z <= 64 && (size_t)b.x * b.y * b.z <= 1024;
}

}  // namespace

// Whether the launch is a valid one; where not, the error is remembered as on a card.
bool may_launch(const char* kernel, dim3 g, dim3 b, size_t shared_bytes) {
    if (!card_takes_work()) {
        fail(LOST, "the launch of %s on a card that has vanished", kernel);
        return false;
    }
    if (!has_valid_shape(g, b)) {
        fail(cudaErrorInvalidConfiguration, "%s<<<(%u, %u, %u), (%u, %u, %u)>>> cannot be launched",
             kernel, g.x, g.y, g.z, b.x, b.y, b.z);
        return false;
    }
    if (shared_bytes > allowed_for(kernel)) {
        fail(cudaErrorInvalidValue, "%s asks for %zu bytes of dynamic shared memory, and %zu are "
             "allowed (see cudaFuncSetAttribute)", kernel, shared_bytes, allowed_for(kernel));
        return false;
    }
    count_launch(kernel);
    return true;
}

}  // namespace emulation

namespace cuda_on_cpu {

using namespace emulation;

cudaError_t set_attribute(const char* kernel, cudaFuncAttribute attribute, int value) {
    if (card_is_lost()) return fail(LOST, "cudaFuncSetAttribute on a card that has vanished");
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || (size_t)value > shared_bytes_on_request())
        return fail(cudaErrorInvalidValue, "%s may not have %d bytes of dynamic shared memory: a "
                    "block of capability %d has %zu", kernel, value, capability(),
                    shared_bytes_on_request());
    const std::lock_guard<std::mutex> lock(allowed_mutex);
    allowed()[kernel] = value;
    return cudaSuccess;
}

namespace {

void run(const char* kernel, const std::function<void()>& thread, dim3 grid, dim3 block,
         size_t shared_bytes) {
    const Operation operation(kernel);
    const long count = (long)grid.x * grid.y * grid.z;
    Order block_order;
    std::vector<unsigned> shuffled;
    if (block_order.shuffled()) shuffled = block_order.of(count);

#pragma omp parallel if (count > 1)
    {
        Order order;
        blockDim = block;
        gridDim = grid;
#pragma omp for schedule(dynamic)
        for (long i = 0; i < count; i++) {
            const long k = shuffled.empty() ? i : shuffled[i];
            blockIdx = {(unsigned)(k % grid.x), (unsigned)(k / grid.x % grid.y),
                        (unsigned)(k / grid.x / grid.y)};
            Block::of_this_thread().run(thread, shared_bytes, order);
        }
    }
}

}  // namespace

void launch(const char* kernel, const std::function<void()>& thread, dim3 grid, dim3 block,
            size_t shared_bytes, cudaStream_t) {
    if (!may_launch(kernel, grid, block, shared_bytes) || counts_only()) return;
    start([=] { run(kernel, thread, grid, block, shared_bytes); });
}

}  // namespace cuda_on_cpu
