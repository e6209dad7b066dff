// Convolutions by cuDNN, with float32 sums for every type.
//
// The algorithm is the first of cuDNN's own ranking that is deterministic and takes little memory. The ranking is not
// measured: two processes that measure may choose differently, and then differ in the last bits.
#pragma once
#include <array>
#include <map>
#include <vector>
#include "cudnn_wrapper.h"
#include "executor.h"
#include "var.h"

namespace convolution {

constexpr size_t workspace_limit = 512ull << 20;

enum class Pass { forward, input_gradient, weight_gradient };

// The names of `data` are the arguments of the Python function.
struct Shape {
    int64_t batch, channels, height, width, filters, kernel_height, kernel_width, out_height, out_width;
    int64_t stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w;

    template <class Data> Shape(const jittor::Var* x, const jittor::Var* w, const jittor::Var* y, const Data& data)
        : batch(x->shape[0]), channels(x->shape[1]), height(x->shape[2]), width(x->shape[3]), filters(w->shape[0]),
          kernel_height(w->shape[2]), kernel_width(w->shape[3]), out_height(y->shape[2]), out_width(y->shape[3]),
          stride_h(data.at("stride_h")), stride_w(data.at("stride_w")), padding_h(data.at("padding_h")),
          padding_w(data.at("padding_w")), dilation_h(data.at("dilation_h")), dilation_w(data.at("dilation_w")) {}

    std::array<int64_t, 15> key() const {
        return {batch, channels, height, width, filters, kernel_height, kernel_width, out_height, out_width,
                stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w};
    }
};

// Descriptors, algorithm and workspace of one pass of one shape. They live as long as the process.
struct Plan {
    cudnnTensorDescriptor_t x, y;
    cudnnFilterDescriptor_t w;
    cudnnConvolutionDescriptor_t convolution;
    int algorithm;
    size_t workspace;
};

template <class Ranked> const Ranked* choose(const std::vector<Ranked>& ranking) {
    for (const Ranked& each : ranking)
        if (each.status == CUDNN_STATUS_SUCCESS && each.determinism == CUDNN_DETERMINISTIC && each.memory <= workspace_limit)
            return &each;
    LOGf << "cuDNN has no deterministic algorithm for a convolution within" << workspace_limit << "bytes";
    return nullptr;
}

inline Plan make_plan(Pass pass, const Shape& s, cudnnDataType_t type) {
    Plan plan;
    checkCudaErrors(cudnnCreateTensorDescriptor(&plan.x));
    checkCudaErrors(cudnnCreateTensorDescriptor(&plan.y));
    checkCudaErrors(cudnnCreateFilterDescriptor(&plan.w));
    checkCudaErrors(cudnnCreateConvolutionDescriptor(&plan.convolution));
    checkCudaErrors(cudnnSetTensor4dDescriptor(plan.x, CUDNN_TENSOR_NCHW, type, s.batch, s.channels, s.height, s.width));
    checkCudaErrors(cudnnSetTensor4dDescriptor(plan.y, CUDNN_TENSOR_NCHW, type, s.batch, s.filters, s.out_height, s.out_width));
    checkCudaErrors(cudnnSetFilter4dDescriptor(plan.w, type, CUDNN_TENSOR_NCHW, s.filters, s.channels, s.kernel_height, s.kernel_width));
    checkCudaErrors(cudnnSetConvolution2dDescriptor(plan.convolution, s.padding_h, s.padding_w, s.stride_h, s.stride_w,
                                                    s.dilation_h, s.dilation_w, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
    // Float32 is computed as float32: cuDNN's default rounds the operands to ten bits on newer cards (TF32).
    checkCudaErrors(cudnnSetConvolutionMathType(plan.convolution, type == CUDNN_DATA_FLOAT ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH));
    auto handle = jittor::cudnn_handle;
    int found = 0;
    if (pass == Pass::forward) {
        std::vector<cudnnConvolutionFwdAlgoPerf_t> ranking(CUDNN_CONVOLUTION_FWD_ALGO_COUNT);
        checkCudaErrors(cudnnGetConvolutionForwardAlgorithm_v7(handle, plan.x, plan.w, plan.convolution, plan.y, ranking.size(), &found, ranking.data()));
        ranking.resize(found);
        const auto* best = choose(ranking);
        plan.algorithm = best->algo;
        checkCudaErrors(cudnnSetConvolutionMathType(plan.convolution, best->mathType));
        checkCudaErrors(cudnnGetConvolutionForwardWorkspaceSize(handle, plan.x, plan.w, plan.convolution, plan.y, best->algo, &plan.workspace));
    } else if (pass == Pass::input_gradient) {
        std::vector<cudnnConvolutionBwdDataAlgoPerf_t> ranking(CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT);
        checkCudaErrors(cudnnGetConvolutionBackwardDataAlgorithm_v7(handle, plan.w, plan.y, plan.convolution, plan.x, ranking.size(), &found, ranking.data()));
        ranking.resize(found);
        const auto* best = choose(ranking);
        plan.algorithm = best->algo;
        checkCudaErrors(cudnnSetConvolutionMathType(plan.convolution, best->mathType));
        checkCudaErrors(cudnnGetConvolutionBackwardDataWorkspaceSize(handle, plan.w, plan.y, plan.convolution, plan.x, best->algo, &plan.workspace));
    } else {
        std::vector<cudnnConvolutionBwdFilterAlgoPerf_t> ranking(CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT);
        checkCudaErrors(cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle, plan.x, plan.y, plan.convolution, plan.w, ranking.size(), &found, ranking.data()));
        ranking.resize(found);
        const auto* best = choose(ranking);
        plan.algorithm = best->algo;
        checkCudaErrors(cudnnSetConvolutionMathType(plan.convolution, best->mathType));
        checkCudaErrors(cudnnGetConvolutionBackwardFilterWorkspaceSize(handle, plan.x, plan.y, plan.convolution, plan.w, best->algo, &plan.workspace));
    }
    return plan;
}

// The pass's result is the array that it is named for; the other two are read.
template <class T, class Data> void run(Pass pass, jittor::Var* x, jittor::Var* w, jittor::Var* y, const Data& data) {
    static std::map<std::array<int64_t, 15>, Plan> plans;
    const Shape shape(x, w, y, data);
    auto found = plans.find(shape.key());
    if (found == plans.end()) found = plans.emplace(shape.key(), make_plan(pass, shape, jittor::getDataType<T>())).first;
    const Plan& plan = found->second;
    size_t allocation = 0;
    void* workspace = plan.workspace ? jittor::exe.temp_allocator->alloc(plan.workspace, allocation) : nullptr;
    const float one = 1, zero = 0;
    auto handle = jittor::cudnn_handle;
    if (pass == Pass::forward)
        checkCudaErrors(cudnnConvolutionForward(handle, &one, plan.x, x->ptr<T>(), plan.w, w->ptr<T>(), plan.convolution,
            (cudnnConvolutionFwdAlgo_t)plan.algorithm, workspace, plan.workspace, &zero, plan.y, y->ptr<T>()));
    else if (pass == Pass::input_gradient)
        checkCudaErrors(cudnnConvolutionBackwardData(handle, &one, plan.w, w->ptr<T>(), plan.y, y->ptr<T>(), plan.convolution,
            (cudnnConvolutionBwdDataAlgo_t)plan.algorithm, workspace, plan.workspace, &zero, plan.x, x->ptr<T>()));
    else
        checkCudaErrors(cudnnConvolutionBackwardFilter(handle, &one, plan.x, x->ptr<T>(), plan.y, y->ptr<T>(), plan.convolution,
            (cudnnConvolutionBwdFilterAlgo_t)plan.algorithm, workspace, plan.workspace, &zero, plan.w, w->ptr<T>()));
    if (workspace) jittor::exe.temp_allocator->free(workspace, plan.workspace, allocation);
}

}  // namespace convolution
