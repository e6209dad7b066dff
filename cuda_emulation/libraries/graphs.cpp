// Captures of a stream and the graphs they give: a list of work, done in its order.
#include "graphs.h"

#include <cstring>
#include <vector>

#include "counters.h"
#include "device_memory.h"
#include "errors.h"

namespace emulation {
namespace {

using Work = std::vector<std::function<void()>>;

Work* open = nullptr;
bool spoilt = false;

}  // namespace

bool capturing() { return open; }
void start(const std::function<void()>& work) {
    if (open) open->push_back(work);
    else work();
}

cudaError_t outside_captures(const char* call) {
    if (!open) return cudaSuccess;
    spoilt = true;
    return fail(cudaErrorStreamCaptureUnsupported, "%s while a stream is captured", call);
}

}  // namespace emulation

using namespace emulation;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (card_is_lost()) return fail(LOST, "cudaStreamBeginCapture on a card that has vanished");
    if (stream == nullptr || stream == cudaStreamLegacy)
        return fail(cudaErrorStreamCaptureUnsupported, "the legacy stream cannot be captured");
    if (open) return fail(cudaErrorIllegalState, "this stream is captured already");
    open = new Work;
    spoilt = false;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
    *graph = nullptr;
    if (!open) return fail(cudaErrorIllegalState, "no stream is captured");
    Work* const work = open;
    open = nullptr;
    if (spoilt) {
        delete work;
        return fail(cudaErrorStreamCaptureInvalidated, "the capture was spoilt by another call");
    }
    *graph = (cudaGraph_t)work;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
    *made = (cudaGraphExec_t) new Work(*(const Work*)graph);
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete (Work*)graph;
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    delete (Work*)graph;
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t) {
    if (!card_takes_work()) return fail(LOST, "cudaGraphLaunch on a card that has vanished");
    count(GRAPHS);
    const Work& work = *(const Work*)graph;
    for (const auto& part : work) start(part);
    return cudaSuccess;
}

}  // extern "C"
