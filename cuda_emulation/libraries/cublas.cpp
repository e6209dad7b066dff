// cuBLAS on the CPU: the matrix products that Jittor asks for.
#include <cublas_v2.h>

#include <cstdio>

#include "card.h"
#include "counters.h"
#include "device_memory.h"
#include "graphs.h"
#include "products.h"

using namespace emulation;

namespace {

Format format_of(cudaDataType_t type) {
    switch (type) {
        case CUDA_R_32F: return Format::FLOAT;
        case CUDA_R_16F: return Format::HALF;
        case CUDA_R_16BF: return Format::BFLOAT16;
        case CUDA_R_64F: return Format::DOUBLE;
        default: return Format::NONE;
    }
}

// A matrix as BLAS describes one: column by column, `stride` elements from one column to the next.
struct Matrix {
    const void* data;
    Format format;
    bool transposed;
    long rows, columns, stride;  // of the matrix as it enters the product

    long stored_rows() const { return transposed ? columns : rows; }
    long stored_columns() const { return transposed ? rows : columns; }
    bool fits() const {
        const size_t elements = (stored_columns() - 1) * stride + stored_rows();
        return stride >= std::max(1L, stored_rows()) &&
               within_allocation(data, elements * width(format));
    }
    // The matrix's transpose row by row: (columns, rows).
    std::vector<float> transpose() const {
        std::vector<float> out(rows * columns);
        for (long j = 0; j < columns; j++)
            for (long i = 0; i < rows; i++)
                out[j * rows + i] = element(data, transposed ? j + i * stride : i + j * stride, format);
        return out;
    }
};

cublasStatus_t refuse(cublasStatus_t status, const char* reason) {
    count(ERRORS);
    fprintf(stderr, "cuda_emulation: cuBLAS: %s\n", reason);
    return status;
}

// What cuBLAS computes with tensor cores or without, see "cublasGemmEx" in its manual.
bool is_supported(Format a, Format b, Format c, cublasComputeType_t compute) {
    if (a != b || a == Format::NONE || c == Format::NONE) return false;
    switch (compute) {
        case CUBLAS_COMPUTE_16F: return a == Format::HALF && c == Format::HALF;
        case CUBLAS_COMPUTE_64F: return a == Format::DOUBLE && c == Format::DOUBLE;
        case CUBLAS_COMPUTE_32F: case CUBLAS_COMPUTE_32F_PEDANTIC:
        case CUBLAS_COMPUTE_32F_FAST_16F: case CUBLAS_COMPUTE_32F_FAST_16BF:
        case CUBLAS_COMPUTE_32F_FAST_TF32:
            return a != Format::DOUBLE && (c == a || c == Format::FLOAT);
        default: return false;
    }
}

float scalar(const void* value, cublasComputeType_t compute) {
    const Format f = compute == CUBLAS_COMPUTE_16F   ? Format::HALF
                     : compute == CUBLAS_COMPUTE_64F ? Format::DOUBLE
                                                     : Format::FLOAT;
    return element(value, 0, f);
}

// C = alpha op(A) op(B) + beta C, which row by row is C^T = alpha op(B)^T op(A)^T + beta C^T.
void multiply(const Matrix& a, const Matrix& b, const Matrix& c, float factor, float keep, Sums sums) {
    const Operation operation("a product of cuBLAS");
    const std::vector<float> left = b.transpose(), right = a.transpose();
    std::vector<float> out(c.rows * c.columns);
    product(c.columns, c.rows, a.columns, left.data(), right.data(), out.data(), sums);
    for (long j = 0; j < c.columns; j++)
        for (long i = 0; i < c.rows; i++) {
            const long at = i + j * c.stride;
            // With beta 0, C may hold anything, not-a-numbers too.
            const float before = keep ? keep * element(c.data, at, c.format) : 0.f;
            set_element(const_cast<void*>(c.data), at, c.format, factor * out[j * c.rows + i] + before);
        }
}

struct Batch {
    long long a, b, c;  // elements from one matrix to the next
    int count;
};

// What a handle points to.
struct Handle { cudaStream_t stream; };

cublasStatus_t multiply_all(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, long m,
                            long n, long k, const void* alpha, const void* A, cudaDataType at, long lda,
                            const void* B, cudaDataType bt, long ldb, const void* beta, void* C,
                            cudaDataType ct, long ldc, cublasComputeType_t compute, Batch batch) {
    if (!card_takes_work())
        return refuse(CUBLAS_STATUS_EXECUTION_FAILED, "a product on a card that has vanished");
    if (!((Handle*)handle)->stream && outside_captures("a product on the legacy stream"))
        return CUBLAS_STATUS_EXECUTION_FAILED;
    count(PRODUCTS);
    const Format fa = format_of(at), fb = format_of(bt), fc = format_of(ct);
    if (!is_supported(fa, fb, fc, compute))
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "these formats are not supported together");
    const float factor = scalar(alpha, compute), keep = scalar(beta, compute);
    const Sums sums = compute == CUBLAS_COMPUTE_16F ? Sums::HALF : Sums::FLOAT;
    for (long i = 0; i < batch.count; i++) {
        const Matrix a = {(const char*)A + i * batch.a * (long)width(fa), fa, ta != CUBLAS_OP_N, m, k, lda};
        const Matrix b = {(const char*)B + i * batch.b * (long)width(fb), fb, tb != CUBLAS_OP_N, k, n, ldb};
        const Matrix c = {(char*)C + i * batch.c * (long)width(fc), fc, false, m, n, ldc};
        if (!a.fits() || !b.fits() || !c.fits())
            return refuse(CUBLAS_STATUS_INVALID_VALUE, "a matrix does not lie in device memory");
        if (!counts_only()) start([=] { multiply(a, b, c, factor, keep, sums); });
    }
    return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
    *handle = (cublasHandle_t) new Handle{};
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    delete (Handle*)handle;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    ((Handle*)handle)->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t) { return CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n,
                            int k, const void* alpha, const void* A, cudaDataType at, int lda,
                            const void* B, cudaDataType bt, int ldb, const void* beta, void* C,
                            cudaDataType ct, int ldc, cublasComputeType_t compute, cublasGemmAlgo_t) {
    return multiply_all(handle, ta, tb, m, n, k, alpha, A, at, lda, B, bt, ldb, beta, C, ct, ldc, compute,
                        {0, 0, 0, 1});
}

cublasStatus_t cublasGemmStridedBatchedEx(
    cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
    const void* alpha, const void* A, cudaDataType at, int lda, long long sa, const void* B,
    cudaDataType bt, int ldb, long long sb, const void* beta, void* C, cudaDataType ct, int ldc,
    long long sc, int count, cublasComputeType_t compute, cublasGemmAlgo_t) {
    return multiply_all(handle, ta, tb, m, n, k, alpha, A, at, lda, B, bt, ldb, beta, C, ct, ldc, compute,
                        {sa, sb, sc, count});
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n,
                              int k, const float* alpha, const float* A, int lda, const float* B,
                              int ldb, const float* beta, float* C, int ldc) {
    return multiply_all(handle, ta, tb, m, n, k, alpha, A, CUDA_R_32F, lda, B, CUDA_R_32F, ldb, beta, C,
                        CUDA_R_32F, ldc, CUBLAS_COMPUTE_32F, {0, 0, 0, 1});
}

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb,
                                         int m, int n, int k, const float* alpha, const float* A,
                                         int lda, long long sa, const float* B, int ldb, long long sb,
                                         const float* beta, float* C, int ldc, long long sc, int count) {
    return multiply_all(handle, ta, tb, m, n, k, alpha, A, CUDA_R_32F, lda, B, CUDA_R_32F, ldb, beta, C,
                        CUDA_R_32F, ldc, CUBLAS_COMPUTE_32F, {sa, sb, sc, count});
}

}  // extern "C"
