// cuDNN's graph interface on the CPU: one convolution of 2 dimensions, or one of its gradients.
//
// Descriptors keep their attributes as they are set; an execution reads them. The only engine asks
// for a workspace, so that the asking is tested.
#include <cudnn.h>

#include <cstdio>
#include <map>
#include <vector>

#include "card.h"
#include "convolution.h"
#include "counters.h"
#include "device_memory.h"
#include "graphs.h"

using namespace emulation;

namespace {

// What the only engine asks for, in bytes.
int64_t workspace_bytes() { return setting("FAKE_CUDNN_WORKSPACE", 64) << 10; }

const cudnnStatus_t OK = CUDNN_STATUS_SUCCESS;

cudnnStatus_t refuse(cudnnStatus_t status, const char* reason) {
    count(ERRORS);
    fprintf(stderr, "cuda_emulation: cuDNN: %s\n", reason);
    return status;
}

// What a handle points to.
struct Handle { cudaStream_t stream; };

struct Attribute {
    cudnnBackendAttributeType_t type;
    int64_t count;
    std::vector<unsigned char> bytes;
};

// What a backend descriptor points to.
struct Node {
    cudnnBackendDescriptorType_t kind;
    bool finished = false;
    std::map<int, Attribute> attributes;

    template <class T>
    const T* get(int name) const {
        const auto found = attributes.find(name);
        return found == attributes.end() ? nullptr : (const T*)found->second.bytes.data();
    }
    const Node* part(int name) const {
        const auto* held = get<cudnnBackendDescriptor_t>(name);
        return held ? (const Node*)*held : nullptr;
    }
};

size_t width_of(cudnnBackendAttributeType_t type) {
    switch (type) {
        case CUDNN_TYPE_INT64: case CUDNN_TYPE_DOUBLE: case CUDNN_TYPE_HANDLE:
        case CUDNN_TYPE_BACKEND_DESCRIPTOR: case CUDNN_TYPE_VOID_PTR: return 8;
        default: return 4;  // numbers in single precision and enumerations
    }
}

Format format_of(cudnnDataType_t type) {
    switch (type) {
        case CUDNN_DATA_FLOAT: return Format::FLOAT;
        case CUDNN_DATA_HALF: return Format::HALF;
        case CUDNN_DATA_BFLOAT16: return Format::BFLOAT16;
        case CUDNN_DATA_DOUBLE: return Format::DOUBLE;
        default: return Format::NONE;
    }
}

// Sizes of 4 dimensions, with a depth of 1.
Tensor tensor_of(const Node& node) {
    Tensor t{};
    t.format = format_of(*node.get<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE));
    const int64_t* sizes = node.get<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS);
    const int64_t* strides = node.get<int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
    t.size[2] = 1;
    for (int i = 0; i < 4; i++) {
        t.size[i < 2 ? i : i + 1] = sizes[i];
        t.stride[i < 2 ? i : i + 1] = strides[i];
    }
    return t;
}

Convolution convolution_of(const Node& node) {
    Convolution c;
    c.flipped = *node.get<cudnnConvolutionMode_t>(CUDNN_ATTR_CONVOLUTION_CONV_MODE) == CUDNN_CONVOLUTION;
    c.sums = *node.get<cudnnDataType_t>(CUDNN_ATTR_CONVOLUTION_COMP_TYPE) == CUDNN_DATA_HALF ? Sums::HALF : Sums::FLOAT;
    for (int i = 0; i < 2; i++) {
        c.pad[i + 1] = node.get<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS)[i];
        c.step[i + 1] = node.get<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES)[i];
        c.dilation[i + 1] = node.get<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS)[i];
    }
    return c;
}

// The names of one pass's attributes.
struct Pass {
    cudnnBackendDescriptorType_t kind;
    int convolution, x, w, y, alpha, beta;
};

const Pass PASSES[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
};

cudnnStatus_t check(const Tensor& x, const Tensor& w, const Tensor& y, const Convolution& c, void* const places[3]) {
    bool fits = x.size[0] == y.size[0] && w.size[0] == y.size[1] &&
                w.size[1] * c.groups == x.size[1] && w.size[0] % c.groups == 0;
    for (int axis = 0; axis < 3; axis++) fits &= y.size[axis + 2] == c.output_size(x, w, axis);
    if (!fits) return refuse(CUDNN_STATUS_BAD_PARAM, "the sizes do not fit together");
    if (x.format != w.format || x.format != y.format || x.format == Format::NONE)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "tensors of these formats");
    const Tensor* all[] = {&x, &w, &y};
    for (int i = 0; i < 3; i++)
        if (!within_allocation(places[i], all[i]->span() * width(all[i]->format)))
            return refuse(CUDNN_STATUS_BAD_PARAM, "a tensor does not lie in device memory");
    return OK;
}

// The array of a variant pack that belongs to a tensor.
void* place_of(const Node& tensor, const Node& pack) {
    const int64_t id = *tensor.get<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID);
    const Attribute& ids = pack.attributes.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    for (int64_t i = 0; i < ids.count; i++)
        if (((const int64_t*)ids.bytes.data())[i] == id)
            return pack.get<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS)[i];
    return nullptr;
}

cudnnStatus_t compute(const Node& operation, const Node& pack) {
    for (const Pass& pass : PASSES) {
        if (pass.kind != operation.kind) continue;
        const Node *xn = operation.part(pass.x), *wn = operation.part(pass.w), *yn = operation.part(pass.y);
        const Tensor x = tensor_of(*xn), w = tensor_of(*wn), y = tensor_of(*yn);
        Convolution c = convolution_of(*operation.part(pass.convolution));
        c.groups = w.size[1] ? x.size[1] / w.size[1] : 1;  // as cuDNN concludes from the sizes
        void* const places[] = {place_of(*xn, pack), place_of(*wn, pack), place_of(*yn, pack)};
        const cudnnStatus_t status = check(x, w, y, c, places);
        if (status != OK) return status;
        count(CONVOLUTIONS);
        if (counts_only()) return OK;
        const float alpha = *operation.get<float>(pass.alpha), beta = *operation.get<float>(pass.beta);
        void *const px = places[0], *const pw = places[1], *const py = places[2];
        start([=, &pass] {
            const Operation open("a convolution of cuDNN");
            const Windows windows{c, x, w, y};
            if (&pass == &PASSES[0]) convolve(windows, px, pw, py, alpha, beta);
            if (&pass == &PASSES[1]) convolve_back(windows, pw, py, px, alpha, beta);
            if (&pass == &PASSES[2]) convolve_filter(windows, px, py, pw, alpha, beta);
        });
        return OK;
    }
    return refuse(CUDNN_STATUS_NOT_SUPPORTED, "an operation that is no convolution");
}

}  // namespace

extern "C" {

cudnnStatus_t cudnnCreate(cudnnHandle_t* h) { *h = (cudnnHandle_t) new Handle{}; return OK; }
cudnnStatus_t cudnnDestroy(cudnnHandle_t h) { delete (Handle*)h; return OK; }
cudnnStatus_t cudnnSetStream(cudnnHandle_t h, cudaStream_t stream) {
    ((Handle*)h)->stream = stream;
    return OK;
}
const char* cudnnGetErrorString(cudnnStatus_t status) {
    return status == OK ? "CUDNN_STATUS_SUCCESS" : "an error, which cuda_emulation has printed";
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t kind, cudnnBackendDescriptor_t* d) {
    *d = (cudnnBackendDescriptor_t) new Node{kind};
    return OK;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d) {
    delete (Node*)d;
    return OK;
}
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void* values) {
    Node& node = *(Node*)d;
    if (node.finished) return refuse(CUDNN_STATUS_BAD_PARAM, "an attribute is set after the end");
    const auto* first = (const unsigned char*)values;
    node.attributes[name] = {type, count, {first, first + count * width_of(type)}};
    return OK;
}
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t d) {
    ((Node*)d)->finished = true;
    return OK;
}

// One engine without notes, and the workspace of its plan.
cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t, int64_t wanted, int64_t* count, void* values) {
    const Node& node = *(const Node*)d;
    if (!node.finished && node.kind != CUDNN_BACKEND_ENGINE_DESCRIPTOR)
        return refuse(CUDNN_STATUS_BAD_PARAM, "an unfinished descriptor is asked");
    switch (name) {
        case CUDNN_ATTR_ENGINEHEUR_RESULTS: {
            *count = 1;
            if (wanted == 0) return OK;
            Node& configuration = *(Node*)*(cudnnBackendDescriptor_t*)values;
            configuration.attributes[CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH] =
                node.attributes.at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
            configuration.finished = true;
            return OK;
        }
        case CUDNN_ATTR_ENGINECFG_ENGINE: *count = 1; return OK;
        case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE: *count = 0; return OK;
        case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
            *count = 1;
            *(int64_t*)values = workspace_bytes();
            return OK;
        default: return refuse(CUDNN_STATUS_NOT_SUPPORTED, "an attribute that is not emulated");
    }
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t arrays) {
    const Node &pack = *(const Node*)arrays, &chosen = *(const Node*)plan;
    if (!card_takes_work())
        return refuse(CUDNN_STATUS_EXECUTION_FAILED, "a convolution on a card that has vanished");
    if (!((Handle*)handle)->stream && outside_captures("a convolution on the legacy stream"))
        return CUDNN_STATUS_EXECUTION_FAILED;
    void* const* workspace = pack.get<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
    if (!workspace || !within_allocation(*workspace, workspace_bytes()))
        return refuse(CUDNN_STATUS_BAD_PARAM, "the workspace is too small or not in device memory");
    const Node* configuration = chosen.part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    const Node* graph = configuration->part(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    return compute(*graph->part(CUDNN_ATTR_OPERATIONGRAPH_OPS), pack);
}

}  // extern "C"
