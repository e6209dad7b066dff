// Graphs: work that is started while a stream is captured is kept, and done when its graph is
// launched.
#pragma once
#include <cuda_runtime_api.h>

#include <functional>

namespace emulation {

// Whether work that is started now is captured.
bool capturing();
// Does `work`, or makes it the next part of the graph that is captured.
void start(const std::function<void()>& work);
// Fails where a call that a capture does not allow comes in one, which spoils the capture.
cudaError_t outside_captures(const char* call);

}  // namespace emulation
