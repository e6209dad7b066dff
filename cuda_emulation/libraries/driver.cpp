// The few calls of CUDA's driver with which Jittor asks for the cards' compute capability.
#include <algorithm>

#include "card.h"

extern "C" {
int cuInit(unsigned) { return 0; }
int cuDriverGetVersion(int* version) { *version = 13000; return 0; }
int cuDeviceGetCount(int* count) { *count = (int)emulation::visible_cards().size(); return 0; }
int cuDeviceGet(int* device, int card) { *device = card; return 0; }
int cuDeviceGetAttribute(int* value, int attribute, int) {
    const int MAJOR = 75, MINOR = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…
    if (attribute != MAJOR && attribute != MINOR) return 1;  // CUDA_ERROR_INVALID_VALUE
    *value = attribute == MAJOR ? emulation::capability() / 10 : emulation::capability() % 10;
    return 0;
}
}
