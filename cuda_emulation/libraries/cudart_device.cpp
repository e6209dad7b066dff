// CUDA's runtime: cards, errors, streams and events. Everything is done when its call returns, so
// streams order nothing and waiting is counted only.
#include <cuda_runtime_api.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "card.h"
#include "counters.h"
#include "device_memory.h"
#include "errors.h"
#include "graphs.h"

namespace emulation {

static thread_local cudaError_t last_error = cudaSuccess;

cudaError_t fail(cudaError_t error, const char* reason, ...) {
    last_error = error;
    count(ERRORS);
    char text[512];
    va_list rest;
    va_start(rest, reason);
    vsnprintf(text, sizeof text, reason, rest);
    va_end(rest);
    fprintf(stderr, "cuda_emulation: %s: %s\n", cudaGetErrorName(error), text);
    return error;
}

}  // namespace emulation

using namespace emulation;

namespace {

thread_local int current = 0;

cudaError_t usable(const char* call) {
    if (card_is_lost()) return fail(LOST, "%s on a card that has vanished", call);
    return cudaSuccess;
}

cudaError_t wait_for_the_card(const char* call) {
    count(SYNCHRONISATIONS);
    if (const cudaError_t error = outside_captures(call)) return error;
    return usable(call);
}

int cards() {
    static const int count = (int)visible_cards().size();
    return count;
}

double milliseconds(cudaEvent_t from, cudaEvent_t to) {
    const timespec *a = (const timespec*)from, *b = (const timespec*)to;
    return (double)(b->tv_sec - a->tv_sec) * 1e3 + (double)(b->tv_nsec - a->tv_nsec) / 1e6;
}

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* n) {
    *n = cards();
    return *n ? cudaSuccess : fail(cudaErrorNoDevice, "no card is visible");
}
cudaError_t cudaGetDevice(int* card) { *card = current; return cudaSuccess; }
cudaError_t cudaSetDevice(int card) {
    if (card < 0 || card >= cards())
        return fail(cudaErrorInvalidDevice, "card %d of %d is asked for", card, cards());
    current = card;
    return usable("cudaSetDevice");
}
cudaError_t cudaDeviceSynchronize() { return wait_for_the_card("cudaDeviceSynchronize"); }
cudaError_t cudaDeviceReset() { return cudaSuccess; }

#undef cudaGetDeviceProperties
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int card) {
    if (card < 0 || card >= cards())
        return fail(cudaErrorInvalidDevice, "card %d of %d is asked for", card, cards());
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "Emulated %d", capability());
    p->major = capability() / 10;
    p->minor = capability() % 10;
    p->totalGlobalMem = card_memory(card);
    p->multiProcessorCount = 80;
    p->warpSize = 32;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsPerMultiProcessor = 2048;
    p->sharedMemPerBlock = SHARED_BYTES;
    p->sharedMemPerBlockOptin = shared_bytes_on_request();
    p->sharedMemPerMultiprocessor = shared_bytes_on_request() + 1024;
    p->regsPerBlock = 65536;
    p->memoryBusWidth = 384;
    p->l2CacheSize = 6 << 20;
    for (int i = 0; i < 3; i++) p->maxThreadsDim[i] = i < 2 ? 1024 : 64;
    p->maxGridSize[0] = 2147483647;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    return cudaSuccess;
}
#if CUDART_VERSION < 13000
// What the name means in CUDA 12.
cudaError_t cudaGetDeviceProperties_v2(cudaDeviceProp* p, int card) {
    return cudaGetDeviceProperties(p, card);
}
#endif

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
    switch (attribute) {
        case cudaDevAttrMaxThreadsPerBlock: case cudaDevAttrMaxBlockDimX: *value = 1024; break;
        case cudaDevAttrMaxGridDimX: *value = 2147483647; break;
        case cudaDevAttrMaxSharedMemoryPerBlock: *value = (int)SHARED_BYTES; break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin:
            *value = (int)shared_bytes_on_request(); break;
        case cudaDevAttrWarpSize: *value = 32; break;
        case cudaDevAttrMultiProcessorCount: *value = 80; break;
        case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
        case cudaDevAttrComputeCapabilityMajor: *value = capability() / 10; break;
        case cudaDevAttrComputeCapabilityMinor: *value = capability() % 10; break;
        default: return fail(cudaErrorInvalidValue, "attribute %d is not emulated", (int)attribute);
    }
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* v) { *v = CUDART_VERSION; return cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* v) { *v = CUDART_VERSION; return cudaSuccess; }

cudaError_t cudaGetLastError() {
    const cudaError_t error = last_error;
    last_error = card_is_lost() ? LOST : cudaSuccess;
    return error;
}
cudaError_t cudaPeekAtLastError() { return last_error; }

const char* cudaGetErrorName(cudaError_t error) {
    switch (error) {
#define NAME(E) case E: return #E;
        NAME(cudaSuccess) NAME(cudaErrorInvalidValue) NAME(cudaErrorMemoryAllocation)
        NAME(cudaErrorInvalidConfiguration) NAME(cudaErrorNoDevice) NAME(cudaErrorInvalidDevice)
        NAME(cudaErrorDevicesUnavailable) NAME(cudaErrorNoKernelImageForDevice)
        NAME(cudaErrorStreamCaptureUnsupported) NAME(cudaErrorStreamCaptureInvalidated)
#undef NAME
        default: return "cudaErrorUnknown";
    }
}

// The texts of the real runtime.
const char* cudaGetErrorString(cudaError_t error) {
    switch (error) {
        case cudaSuccess: return "no error";
        case cudaErrorInvalidValue: return "invalid argument";
        case cudaErrorMemoryAllocation: return "out of memory";
        case cudaErrorInvalidConfiguration: return "invalid configuration argument";
        case cudaErrorNoDevice: return "no CUDA-capable device is detected";
        case cudaErrorInvalidDevice: return "invalid device ordinal";
        case cudaErrorDevicesUnavailable:
            return "CUDA-capable device(s) is/are busy or unavailable";
        case cudaErrorNoKernelImageForDevice:
            return "no kernel image is available for execution on the device";
        default: return "unknown error";
    }
}

cudaError_t cudaStreamCreate(cudaStream_t* s) { return cudaStreamCreateWithFlags(s, 0); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) {
    *s = (cudaStream_t)malloc(8);
    return usable("cudaStreamCreate");
}
cudaError_t cudaStreamDestroy(cudaStream_t s) { free(s); return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return wait_for_the_card("cudaStreamSynchronize"); }
// Only events of streams that are not captured are waited for here, which a capture cannot hold.
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) {
    if (const cudaError_t error = outside_captures("cudaStreamWaitEvent")) return error;
    return usable("cudaStreamWaitEvent");
}
cudaError_t cudaStreamAddCallback(cudaStream_t s, cudaStreamCallback_t call, void* data, unsigned) {
    call(s, cudaSuccess, data);
    return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t, cudaHostFn_t call, void* data) {
    call(data);
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* e) { return cudaEventCreateWithFlags(e, 0); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) {
    *e = (cudaEvent_t)calloc(1, sizeof(timespec));
    return usable("cudaEventCreate");
}
cudaError_t cudaEventDestroy(cudaEvent_t e) { free(e); return cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t) {
    clock_gettime(CLOCK_MONOTONIC, (timespec*)e);
    return usable("cudaEventRecord");
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return wait_for_the_card("cudaEventSynchronize"); }
#undef cudaEventElapsedTime
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
    *ms = (float)milliseconds(from, to);
    return cudaSuccess;
}

}  // extern "C"
