// The runtime's last error, and the one way by which a call of the runtime fails.
#pragma once
#include <cuda_runtime_api.h>

namespace emulation {

// Remembers an error for cudaGetLastError, counts it, prints the reason, and returns the error.
cudaError_t fail(cudaError_t error, const char* reason, ...) __attribute__((format(printf, 2, 3)));

// The error of a card that has vanished; every call ends with it.
const cudaError_t LOST = cudaErrorDevicesUnavailable;

}  // namespace emulation
