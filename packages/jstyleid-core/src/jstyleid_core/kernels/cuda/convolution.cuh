// Convolutions by cuDNN, with float32 sums for every type.
//
// cuDNN is asked through its graph interface: a plan is chosen once for each shape and then only executed, while the
// older interface prepares each call anew, for a tenth of a millisecond. The plan is the first of cuDNN's own ranking
// that is deterministic, keeps float32 as float32 (no TF32) and takes little memory. Nothing is measured: two processes
// that measure may choose differently, and then differ in the last bits.
#pragma once
#include <array>
#include <map>
#include <vector>
#include "cudnn_wrapper.h"
#include "executor.h"
#include "var.h"

namespace convolution {

constexpr int64_t workspace_limit = 256ll << 20;

enum class Pass { forward, input_gradient, weight_gradient };

// The names of `data` are the arguments of the Python function.
struct Shape {
    std::array<int64_t, 4> x, w, y;
    std::array<int64_t, 2> stride, padding, dilation;

    template <class Data> Shape(const jittor::Var* x, const jittor::Var* w, const jittor::Var* y, const Data& data)
        : x(dimensions(x)), w(dimensions(w)), y(dimensions(y)), stride(pair(data, "stride")), padding(pair(data, "padding")),
          dilation(pair(data, "dilation")) {}

    static std::array<int64_t, 4> dimensions(const jittor::Var* v) { return {v->shape[0], v->shape[1], v->shape[2], v->shape[3]}; }

    template <class Data> static std::array<int64_t, 2> pair(const Data& data, const std::string& name) {
        return {(int64_t)data.at(name + "_h"), (int64_t)data.at(name + "_w")};
    }

    bool operator<(const Shape& other) const {
        return std::tie(x, w, y, stride, padding, dilation) < std::tie(other.x, other.w, other.y, other.stride, other.padding, other.dilation);
    }
};

// A descriptor of the graph interface. Plans keep theirs as long as the process lives.
class Descriptor {
public:
    explicit Descriptor(cudnnBackendDescriptorType_t type) { checkCudaErrors(cudnnBackendCreateDescriptor(type, &descriptor)); }

    template <size_t N> Descriptor& numbers(cudnnBackendAttributeName_t name, const std::array<int64_t, N>& values) {
        return set(name, CUDNN_TYPE_INT64, N, values.data());
    }
    Descriptor& number(cudnnBackendAttributeName_t name, int64_t value) { return set(name, CUDNN_TYPE_INT64, 1, &value); }
    Descriptor& type(cudnnBackendAttributeName_t name, cudnnDataType_t value) { return set(name, CUDNN_TYPE_DATA_TYPE, 1, &value); }
    Descriptor& factor(cudnnBackendAttributeName_t name, float value) { return set(name, CUDNN_TYPE_FLOAT, 1, &value); }
    Descriptor& part(cudnnBackendAttributeName_t name, const Descriptor& value) {
        return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.descriptor);
    }
    Descriptor& handle(cudnnBackendAttributeName_t name) { return set(name, CUDNN_TYPE_HANDLE, 1, &jittor::cudnn_handle); }
    Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, const void* values) {
        checkCudaErrors(cudnnBackendSetAttribute(descriptor, name, type, count, values));
        return *this;
    }
    Descriptor& finish() {
        checkCudaErrors(cudnnBackendFinalize(descriptor));
        return *this;
    }

    cudnnBackendDescriptor_t descriptor;
};

inline Descriptor tensor(char id, const std::array<int64_t, 4>& shape, cudnnDataType_t type) {
    const std::array<int64_t, 4> strides{shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1};
    return Descriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR)
        .type(CUDNN_ATTR_TENSOR_DATA_TYPE, type).numbers(CUDNN_ATTR_TENSOR_DIMENSIONS, shape)
        .numbers(CUDNN_ATTR_TENSOR_STRIDES, strides).number(CUDNN_ATTR_TENSOR_UNIQUE_ID, id)
        .number(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 16).finish();
}

inline Descriptor operation(Pass pass, const Shape& s, cudnnDataType_t type) {
    const int64_t spatial = 2;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const Descriptor convolution = Descriptor(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR)
        .type(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
        .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode)
        .number(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, spatial).numbers(CUDNN_ATTR_CONVOLUTION_DILATIONS, s.dilation)
        .numbers(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, s.stride).numbers(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, s.padding)
        .numbers(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, s.padding).finish();
    const Descriptor x = tensor('x', s.x, type), w = tensor('w', s.w, type), y = tensor('y', s.y, type);
    if (pass == Pass::forward)
        return Descriptor(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
            .part(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, convolution)
            .part(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x).part(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w)
            .part(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y).factor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 1)
            .factor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 0).finish();
    if (pass == Pass::input_gradient)
        return Descriptor(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR)
            .part(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, convolution)
            .part(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, x).part(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, w)
            .part(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, y).factor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, 1)
            .factor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, 0).finish();
    return Descriptor(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR)
        .part(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, convolution)
        .part(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, x).part(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, w)
        .part(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, y).factor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, 1)
        .factor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, 0).finish();
}

// Whether an engine gives the same bits each time, and computes float32 in float32.
inline bool is_exact(const Descriptor& configuration, cudnnDataType_t type) {
    Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    int64_t count = 0;
    checkCudaErrors(cudnnBackendGetAttribute(configuration.descriptor, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &engine.descriptor));
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    checkCudaErrors(cudnnBackendGetAttribute(engine.descriptor, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes));
    for (int64_t i = 0; i < count; i++) {
        if (notes[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC || notes[i] == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION) return false;
        if (type == CUDNN_DATA_FLOAT && (notes[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE || notes[i] == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)) return false;
    }
    return true;
}

struct Plan {
    cudnnBackendDescriptor_t descriptor = nullptr;
    int64_t workspace = 0;
};

// The first plan of a ranking that is exact, works on this card and fits the memory; empty if there is none.
inline Plan choose(const Descriptor& graph, cudnnBackendHeurMode_t mode, cudnnDataType_t type) {
    const Descriptor ranking = Descriptor(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR)
        .part(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph).set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode).finish();
    int64_t count = 0;
    checkCudaErrors(cudnnBackendGetAttribute(ranking.descriptor, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr));
    std::vector<Descriptor> configurations;
    std::vector<cudnnBackendDescriptor_t> raw;
    for (int64_t i = 0; i < count; i++) {
        configurations.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
        raw.push_back(configurations.back().descriptor);
    }
    checkCudaErrors(cudnnBackendGetAttribute(ranking.descriptor, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &count, raw.data()));
    for (int64_t i = 0; i < count; i++) {
        if (!is_exact(configurations[i], type)) continue;
        Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        plan.handle(CUDNN_ATTR_EXECUTION_PLAN_HANDLE).part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configurations[i]);
        // Only here does cuDNN say whether the engine works on this card.
        if (cudnnBackendFinalize(plan.descriptor) != CUDNN_STATUS_SUCCESS) continue;
        int64_t workspace = 0, one = 0;
        checkCudaErrors(cudnnBackendGetAttribute(plan.descriptor, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &one, &workspace));
        if (workspace <= workspace_limit) return {plan.descriptor, workspace};
    }
    return {};
}

inline Plan make_plan(Pass pass, const Shape& shape, cudnnDataType_t type) {
    const Descriptor only = operation(pass, shape, type);
    const Descriptor graph = Descriptor(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)
        .part(CUDNN_ATTR_OPERATIONGRAPH_OPS, only).handle(CUDNN_ATTR_OPERATIONGRAPH_HANDLE).finish();
    for (auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
        const Plan plan = choose(graph, mode, type);
        if (plan.descriptor) return plan;
    }
    LOGf << "cuDNN has no deterministic algorithm for a convolution within" << workspace_limit << "bytes";
    return {};
}

// The pass's result is the array that it is named for; the other two are read.
template <class T, class Data> void run(Pass pass, jittor::Var* x, jittor::Var* w, jittor::Var* y, const Data& data) {
    // One map in the process: kernels are libraries of their own, but share the statics of templates.
    static std::map<std::pair<Pass, Shape>, Plan> plans;
    const std::pair<Pass, Shape> key{pass, Shape(x, w, y, data)};
    auto found = plans.find(key);
    if (found == plans.end()) found = plans.emplace(key, make_plan(pass, key.second, jittor::getDataType<T>())).first;
    const Plan& plan = found->second;
    size_t allocation = 0;
    void* workspace = plan.workspace ? jittor::exe.temp_allocator->alloc(plan.workspace, allocation) : nullptr;
    const std::array<int64_t, 3> ids{'x', 'w', 'y'};
    void* pointers[] = {x->ptr<T>(), w->ptr<T>(), y->ptr<T>()};
    Descriptor arrays(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    arrays.numbers(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids).set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, pointers)
        .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace).finish();
    checkCudaErrors(cudnnBackendExecute(jittor::cudnn_handle, plan.descriptor, arrays.descriptor));
    checkCudaErrors(cudnnBackendDestroyDescriptor(arrays.descriptor));
    if (workspace) jittor::exe.temp_allocator->free(workspace, plan.workspace, allocation);
}

}  // namespace convolution
