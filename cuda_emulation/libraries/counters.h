// What a process did with its card, as numbers. Exported by the runtime's stand-in; the other
// stand-ins count here too.
#pragma once

namespace emulation {

enum Counter {
    LAUNCHES, PRODUCTS, CONVOLUTIONS, RANDOM_FILLS, GRAPHS,
    COPIES_TO_DEVICE, BYTES_TO_DEVICE, COPIES_TO_HOST, BYTES_TO_HOST,
    COPIES_ON_DEVICE, BYTES_ON_DEVICE, FILLS, SYNCHRONISATIONS,
    ALLOCATIONS, RELEASES, BYTES_IN_USE, PEAK_BYTES, ERRORS, COUNTERS
};

void count(Counter counter, long long amount = 1);
void count_launch(const char* kernel);
void count_memory(long long bytes);  // more (or, negative, less) memory in use

}  // namespace emulation

extern "C" {
// All counters as a JSON object; the text stays valid until the calling thread asks again.
const char* fake_cuda_report();
// Sets all counters to zero; the peak starts again from the memory in use.
void fake_cuda_reset();
}
