// cuSPARSE: the handle that Jittor makes when it is imported. No product of it is emulated.
#include <cusparse.h>

#include <cstdlib>

extern "C" {

cusparseStatus_t cusparseCreate(cusparseHandle_t* handle) {
    *handle = (cusparseHandle_t)malloc(8);
    return CUSPARSE_STATUS_SUCCESS;
}

cusparseStatus_t cusparseDestroy(cusparseHandle_t handle) {
    free(handle);
    return CUSPARSE_STATUS_SUCCESS;
}

}  // extern "C"
