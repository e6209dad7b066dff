// The counters, their report as JSON, and the line in FAKE_CUDA_LOG when the process ends.
#include "counters.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

namespace emulation {
namespace {

const char* const NAMES[COUNTERS] = {
    "launches", "products", "convolutions", "random_fills", "graphs",
    "copies_to_device", "bytes_to_device", "copies_to_host", "bytes_to_host",
    "copies_on_device", "bytes_on_device", "fills", "synchronisations",
    "allocations", "releases", "bytes_in_use", "peak_bytes", "errors"};

// Never destroyed: other libraries may still count while the process ends.
struct State {
    std::mutex mutex;
    long long values[COUNTERS] = {};
    std::map<std::string, long long> kernels;
    bool used = false;
};

State& state() {
    static State* const only = new State;
    return *only;
}

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += (unsigned char)c < 32 ? ' ' : c;
    }
    return out + '"';
}

std::string report() {
    State& s = state();
    const std::lock_guard<std::mutex> lock(s.mutex);
    std::string out = "{\"pid\": " + std::to_string(getpid());
    for (int i = 0; i < COUNTERS; i++)
        out += std::string(", \"") + NAMES[i] + "\": " + std::to_string(s.values[i]);
    out += ", \"kernels\": {";
    const char* between = "";
    for (const auto& kernel : s.kernels) {
        out += between + quoted(kernel.first) + ": " + std::to_string(kernel.second);
        between = ", ";
    }
    return out + "}}";
}

// One write call for the line: lines of processes that end together do not mix.
struct AtTheEnd {
    ~AtTheEnd() {
        const char* log = getenv("FAKE_CUDA_LOG");
        if (!log || !state().used) return;
        const std::string line = report() + "\n";
        const int file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
        if (file < 0 || write(file, line.data(), line.size()) != (ssize_t)line.size())
            fprintf(stderr, "cuda_emulation: FAKE_CUDA_LOG=%s cannot be written\n", log);
        if (file >= 0) close(file);
    }
} at_the_end;

}  // namespace

void count(Counter counter, long long amount) {
    State& s = state();
    const std::lock_guard<std::mutex> lock(s.mutex);
    s.used = true;
    s.values[counter] += amount;
}

void count_launch(const char* kernel) {
    State& s = state();
    const std::lock_guard<std::mutex> lock(s.mutex);
    s.used = true;
    s.values[LAUNCHES]++;
    s.kernels[kernel]++;
}

void count_memory(long long bytes) {
    State& s = state();
    const std::lock_guard<std::mutex> lock(s.mutex);
    s.used = true;
    s.values[bytes >= 0 ? ALLOCATIONS : RELEASES]++;
    s.values[BYTES_IN_USE] += bytes;
    s.values[PEAK_BYTES] = std::max(s.values[PEAK_BYTES], s.values[BYTES_IN_USE]);
}

}  // namespace emulation

extern "C" const char* fake_cuda_report() {
    static thread_local std::string text;
    text = emulation::report();
    return text.c_str();
}

extern "C" void fake_cuda_reset() {
    using namespace emulation;
    State& s = state();
    const std::lock_guard<std::mutex> lock(s.mutex);
    const long long in_use = s.values[BYTES_IN_USE];
    std::fill(s.values, s.values + COUNTERS, 0);
    s.values[BYTES_IN_USE] = s.values[PEAK_BYTES] = in_use;
    s.kernels.clear();
}
