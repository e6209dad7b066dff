// CUDA's runtime: allocations, copies and fills.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>

#include "card.h"
#include "counters.h"
#include "device_memory.h"
#include "errors.h"
#include "graphs.h"

using namespace emulation;

namespace {

int current_card() {
    int card = 0;
    cudaGetDevice(&card);
    return card;
}

cudaError_t allocate_for(void** pointer, size_t bytes, Kind kind) {
    if (card_is_lost()) return fail(LOST, "an allocation on a card that has vanished");
    if (!pointer) return fail(cudaErrorInvalidValue, "an allocation without a place for its address");
    *pointer = nullptr;
    if (bytes == 0) return cudaSuccess;
    *pointer = allocate(bytes, current_card(), kind);
    if (*pointer) return cudaSuccess;
    return fail(cudaErrorMemoryAllocation, "%zu bytes are asked for, and %zu of %zu are in use",
                bytes, in_use(current_card()), card_memory(current_card()));
}

cudaError_t free_device(void* pointer) {
    if (!pointer) return cudaSuccess;
    // As on a real card, memory of a vanished card cannot be given back in an orderly way.
    if (card_is_lost()) return fail(LOST, "cudaFree on a card that has vanished");
    if (release(pointer)) return cudaSuccess;
    return fail(cudaErrorInvalidValue, "cudaFree of %p, which is no allocation's start", pointer);
}

cudaError_t allocate_host(void** pointer, size_t bytes) {
    if (card_is_lost()) return fail(LOST, "page-locked memory for a card that has vanished");
    return posix_memalign(pointer, 512, bytes ? bytes : 1) ? cudaErrorMemoryAllocation : cudaSuccess;
}

const char* const SIDES[] = {"the host", "the device"};

cudaError_t copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    if (card_is_lost()) return fail(LOST, "a copy with a card that has vanished");
    if (bytes == 0) return cudaSuccess;
    const bool source = on_device(from), target = on_device(to);
    const bool wanted_source = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    const bool wanted_target = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    if (kind != cudaMemcpyDefault && (source != wanted_source || target != wanted_target))
        return fail(cudaErrorInvalidValue, "a copy of kind %d goes from %s to %s", (int)kind,
                    SIDES[source], SIDES[target]);
    if ((source && !within_allocation(from, bytes)) || (target && !within_allocation(to, bytes)))
        return fail(cudaErrorInvalidValue, "a copy of %zu bytes leaves its allocation", bytes);
    if (source || target) {
        count(source ? target ? COPIES_ON_DEVICE : COPIES_TO_HOST : COPIES_TO_DEVICE);
        count(source ? target ? BYTES_ON_DEVICE : BYTES_TO_HOST : BYTES_TO_DEVICE,
              (long long)bytes);
    }
    if (source && counts_only()) return cudaSuccess;
    const auto move = [=] {
        const Operation operation("a copy");
        memmove(to, from, bytes);
    };
    // A copy from or to the host is made on a stream of its own, which is not captured.
    if (source && target) start(move);
    else move();
    return cudaSuccess;
}

cudaError_t fill(void* to, int value, size_t bytes) {
    if (card_is_lost()) return fail(LOST, "a fill on a card that has vanished");
    if (bytes == 0) return cudaSuccess;
    if (!within_allocation(to, bytes))
        return fail(cudaErrorInvalidValue, "a fill of %zu bytes at %p leaves device memory", bytes, to);
    count(FILLS);
    start([=] {
        const Operation operation("a fill");
        memset(to, value, bytes);
    });
    return cudaSuccess;
}

}  // namespace

extern "C" {

cudaError_t cudaMalloc(void** p, size_t n) { return allocate_for(p, n, Kind::DEVICE); }
cudaError_t cudaMallocAsync(void** p, size_t n, cudaStream_t) {
    return allocate_for(p, n, Kind::DEVICE);
}
cudaError_t cudaMallocManaged(void** p, size_t n, unsigned) {
    return allocate_for(p, n, Kind::MANAGED);
}
cudaError_t cudaFree(void* p) { return free_device(p); }
cudaError_t cudaFreeAsync(void* p, cudaStream_t) { return free_device(p); }

cudaError_t cudaMallocHost(void** p, size_t n) { return allocate_host(p, n); }
cudaError_t cudaHostAlloc(void** p, size_t n, unsigned) { return allocate_host(p, n); }
cudaError_t cudaFreeHost(void* p) { free(p); return cudaSuccess; }

cudaError_t cudaMemcpy(void* to, const void* from, size_t n, cudaMemcpyKind kind) {
    if (const cudaError_t error = outside_captures("cudaMemcpy")) return error;
    return copy(to, from, n, kind);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t n, cudaMemcpyKind kind, cudaStream_t) {
    return copy(to, from, n, kind);
}
cudaError_t cudaMemset(void* to, int value, size_t n) { return fill(to, value, n); }
cudaError_t cudaMemsetAsync(void* to, int value, size_t n, cudaStream_t) { return fill(to, value, n); }

// A variable of the device is a variable of the host here.
cudaError_t cudaMemcpyToSymbol(const void* symbol, const void* from, size_t n, size_t offset,
                               cudaMemcpyKind) {
    count(COPIES_TO_DEVICE);
    count(BYTES_TO_DEVICE, (long long)n);
    const Operation operation("a copy to a symbol");
    memcpy((char*)const_cast<void*>(symbol) + offset, from, n);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total) {
    if (card_is_lost()) return fail(LOST, "cudaMemGetInfo on a card that has vanished");
    *total = card_memory(current_card());
    *free_bytes = *total - in_use(current_card());
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* a, const void* p) {
    memset(a, 0, sizeof *a);
    const bool device = on_device(p);
    a->type = device ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
    a->devicePointer = device ? const_cast<void*>(p) : nullptr;
    a->hostPointer = device ? nullptr : const_cast<void*>(p);
    return cudaSuccess;
}

}  // extern "C"
