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

static void convolutions(cudnnDataType_t compute, const char* forward) {
    cudnnHandle_t handle;
    cudnnCreate(&handle);
    cudnnTensorDescriptor_t x, y;
    cudnnFilterDescriptor_t w;
    cudnnConvolutionDescriptor_t c;
    cudnnCreateTensorDescriptor(&x);
    cudnnCreateTensorDescriptor(&y);
    cudnnCreateFilterDescriptor(&w);
    cudnnCreateConvolutionDescriptor(&c);
    const bool half = compute != CUDNN_DATA_DOUBLE;  // a float convolution is marked by `double` here
    const cudnnDataType_t type = half ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
    // x (2, 4, 7, 6), w (6, 2, 3, 3) in 2 groups, stride 2 and 1, padding 1 and 2 -> y (2, 6, 4, 8)
    const int xs[] = {2, 4, 7, 6}, xt[] = {168, 42, 6, 1}, ws[] = {6, 2, 3, 3};
    const int ys[] = {2, 6, 4, 8}, yt[] = {192, 32, 8, 1}, pad[] = {1, 2}, step[] = {2, 1}, dilation[] = {1, 1};
    cudnnSetTensorNdDescriptor(x, type, 4, xs, xt);
    cudnnSetTensorNdDescriptor(y, type, 4, ys, yt);
    cudnnSetFilterNdDescriptor(w, type, CUDNN_TENSOR_NCHW, 4, ws);
    cudnnSetConvolutionNdDescriptor(c, 2, pad, step, dilation, CUDNN_CROSS_CORRELATION, half ? compute : CUDNN_DATA_FLOAT);
    cudnnSetConvolutionGroupCount(c, 2);
    size_t bytes = 0;
    cudnnGetConvolutionForwardWorkspaceSize(handle, x, w, c, y, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, &bytes);
    Array<char> workspace(bytes);
    const float one = 1, zero = 0;
    if (half) {
        Array<__half> dx(sevenths(336, 1)), dw(sevenths(108, 2)), dy(384);
        cudnnConvolutionForward(handle, &one, x, dx.device, w, dw.device, c, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, workspace.device, bytes, &zero, y, dy.device);
        show(forward, widened(dy.down()));
        return;
    }
    Array<float> dx(numbers(336, 1)), dw(numbers(108, 2)), dy(384), gx(336), gw(108);
    show("forward_status", std::vector<int>{cudnnConvolutionForward(handle, &one, x, dx.device, w, dw.device, c, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, workspace.device, bytes, &zero, y, dy.device)});
    show(forward, dy.down());
    cudnnConvolutionBackwardData(handle, &one, w, dw.device, y, dy.device, c, CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, workspace.device, bytes, &zero, x, gx.device);
    show("backward_data", gx.down());
    cudnnConvolutionBackwardFilter(handle, &one, x, dx.device, y, dy.device, c, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, workspace.device, bytes, &zero, w, gw.device);
    show("backward_filter", gw.down());
    show("no_workspace", std::vector<int>{cudnnConvolutionForward(handle, &one, x, dx.device, w, dw.device, c, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, nullptr, 0, &zero, y, dy.device)});
    const int wrong[] = {2, 6, 4, 7};
    cudnnSetTensorNdDescriptor(y, type, 4, wrong, yt);
    show("wrong_size", std::vector<int>{cudnnConvolutionForward(handle, &one, x, dx.device, w, dw.device, c, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, workspace.device, bytes, &zero, y, dy.device)});
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
    convolutions(CUDNN_DATA_DOUBLE, "forward");
    convolutions(CUDNN_DATA_FLOAT, "forward_half");
    convolutions(CUDNN_DATA_HALF, "forward_half_sums");
    random_numbers();
}
