// cuDNN on the CPU: convolutions of 2 and 3 dimensions with their gradients.
#include <cudnn.h>

#include <cstdio>

#include "convolution.h"
#include "counters.h"
#include "device_memory.h"

namespace emulation {
bool counts_only();
}
using namespace emulation;

namespace {

const size_t WORKSPACE = 64 << 10;  // what each algorithm asks for, so that the asking is tested
const cudnnStatus_t OK = CUDNN_STATUS_SUCCESS;

cudnnStatus_t refuse(cudnnStatus_t status, const char* reason) {
    count(ERRORS);
    fprintf(stderr, "cuda_emulation: cuDNN: %s\n", reason);
    return status;
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

// Sizes of 4 or 5 dimensions, a flat image's as a depth of 1.
cudnnStatus_t describe(Tensor* t, cudnnDataType_t type, int n, const int* sizes, const int* strides) {
    if ((n != 4 && n != 5) || format_of(type) == Format::NONE)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "a tensor of this format or this many dimensions");
    t->format = format_of(type);
    t->size[2] = 1;
    t->stride[2] = 0;
    for (int i = 0; i < n; i++) {
        const int axis = n == 4 && i >= 2 ? i + 1 : i;
        t->size[axis] = sizes[i];
        t->stride[axis] = strides[i];
    }
    return OK;
}

// What one call of a convolution has in common with the others.
struct Call {
    const Tensor &x, &w, &y;
    const Convolution& c;
    const void* places[3];  // of x, w, y

    Call(const void* xd, const void* xp, const void* wd, const void* wp, const void* cd,
         const void* yd, const void* yp)
        : x(*(const Tensor*)xd), w(*(const Tensor*)wd), y(*(const Tensor*)yd),
          c(*(const Convolution*)cd), places{xp, wp, yp} {}

    cudnnStatus_t check() const {
        bool fits = x.size[0] == y.size[0] && w.size[0] == y.size[1] &&
                    w.size[1] * c.groups == x.size[1] && w.size[0] % c.groups == 0;
        for (int axis = 0; axis < 3; axis++) fits &= y.size[axis + 2] == c.output_size(x, w, axis);
        if (!fits) return refuse(CUDNN_STATUS_BAD_PARAM, "the sizes do not fit together");
        const Tensor* all[] = {&x, &w, &y};
        for (int i = 0; i < 3; i++)
            if (!within_allocation(places[i], all[i]->span() * width(all[i]->format)))
                return refuse(CUDNN_STATUS_BAD_PARAM, "a tensor does not lie in device memory");
        if (x.format != w.format || x.format != y.format)
            return refuse(CUDNN_STATUS_NOT_SUPPORTED, "tensors of different formats");
        return OK;
    }
};

template <class Compute>
cudnnStatus_t run(const Call& call, const void* workspace, size_t bytes, Compute compute) {
    if (!card_takes_work())
        return refuse(CUDNN_STATUS_EXECUTION_FAILED, "a convolution on a card that has vanished");
    if (bytes < WORKSPACE || !within_allocation(workspace, bytes))
        return refuse(CUDNN_STATUS_BAD_PARAM, "the workspace is too small or not in device memory");
    const cudnnStatus_t status = call.check();
    if (status != OK) return status;
    count(CONVOLUTIONS);
    if (counts_only()) return OK;
    const Operation operation("a convolution of cuDNN");
    compute(Windows{call.c, call.x, call.w, call.y});
    return OK;
}

template <class Performance, class Algorithm>
cudnnStatus_t one_algorithm(Performance* found, int* count, Algorithm algorithm) {
    *found = {};
    found->algo = algorithm;
    found->status = OK;
    found->memory = WORKSPACE;
    *count = 1;
    return OK;
}

float scalar(const void* value) { return *(const float*)value; }

}  // namespace

#define IN const cudnnTensorDescriptor_t
#define FILTER const cudnnFilterDescriptor_t
#define CONVOLUTION const cudnnConvolutionDescriptor_t

extern "C" {

cudnnStatus_t cudnnCreate(cudnnHandle_t* h) { *h = (cudnnHandle_t)malloc(8); return OK; }
cudnnStatus_t cudnnDestroy(cudnnHandle_t h) { free(h); return OK; }
cudnnStatus_t cudnnSetStream(cudnnHandle_t, cudaStream_t) { return OK; }
const char* cudnnGetErrorString(cudnnStatus_t status) {
    return status == OK ? "CUDNN_STATUS_SUCCESS" : "an error, which cuda_emulation has printed";
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* d) {
    *d = (cudnnTensorDescriptor_t) new Tensor{};
    return OK;
}
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t d) { delete (Tensor*)d; return OK; }
cudnnStatus_t cudnnSetTensorNdDescriptor(cudnnTensorDescriptor_t d, cudnnDataType_t type, int n,
                                         const int* sizes, const int* strides) {
    return describe((Tensor*)d, type, n, sizes, strides);
}

cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* d) {
    *d = (cudnnFilterDescriptor_t) new Tensor{};
    return OK;
}
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t d) { delete (Tensor*)d; return OK; }
cudnnStatus_t cudnnSetFilterNdDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t type,
                                         cudnnTensorFormat_t layout, int n, const int* sizes) {
    int strides[8] = {}, next = 1;
    if (n > 5) return refuse(CUDNN_STATUS_NOT_SUPPORTED, "a filter of this many dimensions");
    if (layout == CUDNN_TENSOR_NHWC) {  // channels lie closest together
        strides[1] = 1;
        next = sizes[1];
    }
    for (int i = n - 1; i >= 0; i--) {
        if (layout == CUDNN_TENSOR_NHWC && i == 1) continue;
        strides[i] = next;
        next *= sizes[i];
    }
    return describe((Tensor*)d, type, n, sizes, strides);
}

cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* d) {
    *d = (cudnnConvolutionDescriptor_t) new Convolution;
    return OK;
}
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t d) {
    delete (Convolution*)d;
    return OK;
}
cudnnStatus_t cudnnSetConvolutionNdDescriptor(cudnnConvolutionDescriptor_t d, int n, const int* pad,
                                              const int* step, const int* dilation,
                                              cudnnConvolutionMode_t mode, cudnnDataType_t compute) {
    if (n != 2 && n != 3) return refuse(CUDNN_STATUS_NOT_SUPPORTED, "this many dimensions");
    auto* c = (Convolution*)d;
    *c = Convolution();
    c->flipped = mode == CUDNN_CONVOLUTION;
    c->sums = compute == CUDNN_DATA_HALF ? Sums::HALF : Sums::FLOAT;
    for (int i = 0; i < n; i++) {
        const int axis = i + 3 - n;
        c->pad[axis] = pad[i];
        c->step[axis] = step[i];
        c->dilation[axis] = dilation[i];
    }
    return OK;
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t d, int groups) {
    ((Convolution*)d)->groups = groups;
    return OK;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t, cudnnMathType_t) { return OK; }

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t, IN, FILTER, CONVOLUTION, IN,
                                                      cudnnConvolutionFwdAlgo_t, size_t* bytes) {
    *bytes = WORKSPACE;
    return OK;
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t, FILTER, IN, CONVOLUTION, IN,
                                                           cudnnConvolutionBwdDataAlgo_t, size_t* bytes) {
    *bytes = WORKSPACE;
    return OK;
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t, IN, IN, CONVOLUTION, FILTER,
                                                             cudnnConvolutionBwdFilterAlgo_t,
                                                             size_t* bytes) {
    *bytes = WORKSPACE;
    return OK;
}

cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(
    cudnnHandle_t, IN xd, const void* x, FILTER wd, const void* w, CONVOLUTION cd, IN yd, void* y,
    const int, int* count, cudnnConvolutionFwdAlgoPerf_t* found, void*, size_t) {
    const cudnnStatus_t status = Call(xd, x, wd, w, cd, yd, y).check();
    return status != OK ? status : one_algorithm(found, count, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM);
}
cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(
    cudnnHandle_t, FILTER wd, const void* w, IN yd, const void* y, CONVOLUTION cd, IN xd, void* x,
    const int, int* count, cudnnConvolutionBwdDataAlgoPerf_t* found, void*, size_t) {
    const cudnnStatus_t status = Call(xd, x, wd, w, cd, yd, y).check();
    return status != OK ? status : one_algorithm(found, count, CUDNN_CONVOLUTION_BWD_DATA_ALGO_1);
}
cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(
    cudnnHandle_t, IN xd, const void* x, IN yd, const void* y, CONVOLUTION cd, FILTER wd, void* w,
    const int, int* count, cudnnConvolutionBwdFilterAlgoPerf_t* found, void*, size_t) {
    const cudnnStatus_t status = Call(xd, x, wd, w, cd, yd, y).check();
    return status != OK ? status : one_algorithm(found, count, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1);
}
cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t, IN, FILTER, CONVOLUTION, IN, const int,
                                                     int* count, cudnnConvolutionFwdAlgoPerf_t* found) {
    return one_algorithm(found, count, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnnHandle_t, FILTER, IN, CONVOLUTION, IN,
                                                          const int, int* count,
                                                          cudnnConvolutionBwdDataAlgoPerf_t* found) {
    return one_algorithm(found, count, CUDNN_CONVOLUTION_BWD_DATA_ALGO_1);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t, IN, IN, CONVOLUTION, FILTER,
                                                            const int, int* count,
                                                            cudnnConvolutionBwdFilterAlgoPerf_t* found) {
    return one_algorithm(found, count, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t, const void* alpha, IN xd, const void* x, FILTER wd,
                                      const void* w, CONVOLUTION cd, cudnnConvolutionFwdAlgo_t,
                                      void* workspace, size_t bytes, const void* beta, IN yd, void* y) {
    return run(Call(xd, x, wd, w, cd, yd, y), workspace, bytes, [&](const Windows& windows) {
        convolve(windows, x, w, y, scalar(alpha), scalar(beta));
    });
}
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t, const void* alpha, FILTER wd, const void* w,
                                           IN yd, const void* y, CONVOLUTION cd,
                                           cudnnConvolutionBwdDataAlgo_t, void* workspace, size_t bytes,
                                           const void* beta, IN xd, void* x) {
    return run(Call(xd, x, wd, w, cd, yd, y), workspace, bytes, [&](const Windows& windows) {
        convolve_back(windows, w, y, x, scalar(alpha), scalar(beta));
    });
}
cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t, const void* alpha, IN xd, const void* x, IN yd,
                                             const void* y, CONVOLUTION cd,
                                             cudnnConvolutionBwdFilterAlgo_t, void* workspace,
                                             size_t bytes, const void* beta, FILTER wd, void* w) {
    return run(Call(xd, x, wd, w, cd, yd, y), workspace, bytes, [&](const Windows& windows) {
        convolve_filter(windows, x, y, w, scalar(alpha), scalar(beta));
    });
}

}  // extern "C"
