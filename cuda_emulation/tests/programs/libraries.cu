// cuBLAS, cuDNN and cuRAND; the results are compared with numpy's.
#include <cublas_v2.h>
#include <cuda_fp16.h>
#include <cudnn.h>
#include <curand.h>

#include "output.h"

static std::vector<float> numbers(int n, int seed) {
    std::vector<float> out;
    for (int i = 0; i < n; i++) out.push_back((float)((i * 13 + seed) % 31 - 15) / 8.f);
    return out;
}
static std::vector<__half> narrowed(const std::vector<float>& in) {
    return std::vector<__half>(in.begin(), in.end());
}
static std::vector<__half> sevenths(int n, int seed) {  // with all bits of a half
    std::vector<__half> out;
    for (const float x : numbers(n, seed)) out.push_back(__half(x / 7.f));
    return out;
}
static std::vector<float> widened(const std::vector<__half>& in) {
    return std::vector<float>(in.begin(), in.end());
}

static void products() {
    cublasHandle_t handle;
    cublasCreate(&handle);
    const float one = 1, two = 2, zero = 0;
    // Column by column: A (4, 3), B (3, 5), C (4, 5), the rows padded to 6.
    Array<float> a(numbers(6 * 3, 1)), b(numbers(6 * 5, 2)), c(numbers(6 * 5, 3));
    show("product_status", std::vector<int>{cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 4, 5, 3, &two, a.device, 6, b.device, 6, &one, c.device, 6)});
    show("product", c.down());
    Array<float> at(numbers(3 * 4 * 2, 4)), bt(numbers(5 * 3 * 2, 5)), batch(4 * 5 * 2);
    cublasGemmStridedBatchedEx(handle, CUBLAS_OP_T, CUBLAS_OP_T, 4, 5, 3, &one, at.device, CUDA_R_32F, 3, 12, bt.device, CUDA_R_32F, 5, 15, &zero, batch.device, CUDA_R_32F, 4, 20, 2, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    show("batch", batch.down());
    Array<__half> ha(narrowed(numbers(16 * 600, 6))), hb(narrowed(numbers(600 * 8, 7))), hc(16 * 8);
    cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 16, 8, 600, &one, ha.device, CUDA_R_16F, 16, hb.device, CUDA_R_16F, 600, &zero, hc.device, CUDA_R_16F, 16, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    show("half", widened(hc.down()));
    std::vector<float> host = numbers(16, 1);
    show("host_memory", std::vector<int>{cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, host.data(), 2, b.device, 2, &zero, c.device, 2)});
    show("short_stride", std::vector<int>{cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, &one, a.device, 2, b.device, 4, &zero, c.device, 4)});
    show("mixed_formats", std::vector<int>{cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, ha.device, CUDA_R_16F, 2, b.device, CUDA_R_32F, 2, &zero, c.device, CUDA_R_32F, 2, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT)});
    cublasDestroy(handle);
}

using Part = cudnnBackendDescriptor_t;

static Part make(cudnnBackendDescriptorType_t type) {
    Part part;
    cudnnBackendCreateDescriptor(type, &part);
    return part;
}
static void set(Part part, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const void* values, int count = 1) {
    cudnnBackendSetAttribute(part, name, type, count, values);
}
static Part tensor(int64_t id, cudnnDataType_t type, std::vector<int64_t> sizes) {
    const Part part = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    const int64_t strides[] = {sizes[1] * sizes[2] * sizes[3], sizes[2] * sizes[3], sizes[3], 1}, alignment = 16;
    set(part, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, &type);
    set(part, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, sizes.data(), 4);
    set(part, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, strides, 4);
    set(part, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, &id);
    set(part, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, &alignment);
    cudnnBackendFinalize(part);
    return part;
}

// The attributes of one pass: the operation, its convolution, x, w, y, alpha and beta.
struct Names {
    cudnnBackendDescriptorType_t operation;
    cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
};
#define NAMES(KIND, PASS, X, W, Y) \
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_##KIND##_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_##PASS##_CONV_DESC, \
     CUDNN_ATTR_OPERATION_CONVOLUTION_##PASS##_##X, CUDNN_ATTR_OPERATION_CONVOLUTION_##PASS##_##W, \
     CUDNN_ATTR_OPERATION_CONVOLUTION_##PASS##_##Y, CUDNN_ATTR_OPERATION_CONVOLUTION_##PASS##_ALPHA, \
     CUDNN_ATTR_OPERATION_CONVOLUTION_##PASS##_BETA}
static const Names FORWARD = NAMES(FORWARD, FORWARD, X, W, Y);
static const Names BACKWARD_DATA = NAMES(BACKWARD_DATA, BWD_DATA, DX, W, DY);
static const Names BACKWARD_FILTER = NAMES(BACKWARD_FILTER, BWD_FILTER, X, DW, DY);

// x (2, 4, 7, 6), w (6, 2, 3, 3) in 2 groups, stride 2 and 1, padding 1 and 2 -> y (2, 6, 4, 8)
static int convolve(const Names& names, cudnnDataType_t type, cudnnDataType_t sums, void* x, void* w, void* y, bool workspace = true, int64_t width = 8) {
    cudnnHandle_t handle;
    cudnnCreate(&handle);
    const Part convolution = make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR), operation = make(names.operation);
    const int64_t spatial = 2, padding[] = {1, 2}, step[] = {2, 1}, dilation[] = {1, 1};
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    set(convolution, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, &sums);
    set(convolution, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, &mode);
    set(convolution, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, &spatial);
    set(convolution, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, dilation, 2);
    set(convolution, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, step, 2);
    set(convolution, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, padding, 2);
    set(convolution, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, padding, 2);
    cudnnBackendFinalize(convolution);
    const Part tensors[] = {tensor('x', type, {2, 4, 7, 6}), tensor('w', type, {6, 2, 3, 3}), tensor('y', type, {2, 6, 4, width})};
    const float one = 1, zero = 0;
    set(operation, names.convolution, CUDNN_TYPE_BACKEND_DESCRIPTOR, &convolution);
    set(operation, names.x, CUDNN_TYPE_BACKEND_DESCRIPTOR, &tensors[0]);
    set(operation, names.w, CUDNN_TYPE_BACKEND_DESCRIPTOR, &tensors[1]);
    set(operation, names.y, CUDNN_TYPE_BACKEND_DESCRIPTOR, &tensors[2]);
    set(operation, names.alpha, CUDNN_TYPE_FLOAT, &one);
    set(operation, names.beta, CUDNN_TYPE_FLOAT, &zero);
    cudnnBackendFinalize(operation);
    const Part graph = make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR), ranking = make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    set(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, &operation);
    set(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, &handle);
    cudnnBackendFinalize(graph);
    const cudnnBackendHeurMode_t heuristics = CUDNN_HEUR_MODE_A;
    set(ranking, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, &graph);
    set(ranking, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, &heuristics);
    cudnnBackendFinalize(ranking);
    Part configuration = make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    int64_t count = 0, bytes = 0;
    cudnnBackendGetAttribute(ranking, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &configuration);
    const Part plan = make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR), pack = make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, &handle);
    set(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, &configuration);
    cudnnBackendFinalize(plan);
    cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count, &bytes);
    Array<char> memory(bytes);
    void *place = workspace ? memory.device : nullptr, *pointers[] = {x, w, y};
    const int64_t ids[] = {'x', 'w', 'y'};
    set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, ids, 3);
    set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers, 3);
    set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, &place);
    cudnnBackendFinalize(pack);
    return cudnnBackendExecute(handle, plan, pack);
}

static void convolutions() {
    const cudnnDataType_t F = CUDNN_DATA_FLOAT, H = CUDNN_DATA_HALF;
    Array<float> x(numbers(336, 1)), w(numbers(108, 2)), y(384), gx(336), gw(108);
    show("forward_status", std::vector<int>{convolve(FORWARD, F, F, x.device, w.device, y.device)});
    show("forward", y.down());
    convolve(BACKWARD_DATA, F, F, gx.device, w.device, y.device);
    show("backward_data", gx.down());
    convolve(BACKWARD_FILTER, F, F, x.device, gw.device, y.device);
    show("backward_filter", gw.down());
    show("no_workspace", std::vector<int>{convolve(FORWARD, F, F, x.device, w.device, y.device, false)});
    show("wrong_size", std::vector<int>{convolve(FORWARD, F, F, x.device, w.device, y.device, true, 7)});
    Array<__half> hx(sevenths(336, 1)), hw(sevenths(108, 2)), hy(384);
    convolve(FORWARD, H, F, hx.device, hw.device, hy.device);
    show("forward_half", widened(hy.down()));
    convolve(FORWARD, H, H, hx.device, hw.device, hy.device);
    show("forward_half_sums", widened(hy.down()));
}

static void random_numbers() {
    curandGenerator_t generator;
    curandCreateGenerator(&generator, CURAND_RNG_PSEUDO_DEFAULT);
    curandSetPseudoRandomGeneratorSeed(generator, 5);
    Array<float> uniform(10000), normal(10000);
    curandGenerateUniform(generator, uniform.device, 10000);
    curandGenerateNormal(generator, normal.device, 10000, 0, 1);
    show("uniform", uniform.down());
    show("normal", normal.down());
    show("odd", std::vector<int>{curandGenerateNormal(generator, normal.device, 9999, 0, 1)});
}

// Two of everything, on a card that vanishes after the first.
static void lost() {
    cublasHandle_t handle;
    curandGenerator_t generator;
    cublasCreate(&handle);
    curandCreateGenerator(&generator, CURAND_RNG_PSEUDO_DEFAULT);
    const float one = 1, zero = 0;
    Array<float> a(numbers(16, 1)), b(16);
    for (int i = 0; i < 2; i++)
        show(i ? "second" : "first", std::vector<int>{cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, &one, a.device, 4, a.device, 4, &zero, b.device, 4)});
    show("third", std::vector<int>{curandGenerateUniform(generator, b.device, 16)});
}

int main(int count, char**) {
    if (count > 1) {
        lost();
        return 0;
    }
    products();
    convolutions();
    random_numbers();
}
