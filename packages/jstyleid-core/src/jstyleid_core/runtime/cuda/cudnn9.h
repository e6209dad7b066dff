// Included before everything that Jittor 1.3.11 compiles with cuDNN 9, which dropped the old interface of recurrent
// networks. Jittor's operators for them then fail when they are run; nothing else uses it.
#pragma once
#define cudnnSetRNNDescriptor_v6(...) CUDNN_STATUS_NOT_SUPPORTED
#define cudnnGetRNNParamsSize(...) CUDNN_STATUS_NOT_SUPPORTED
#define cudnnGetRNNWorkspaceSize(...) CUDNN_STATUS_NOT_SUPPORTED
#define cudnnGetRNNTrainingReserveSize(...) CUDNN_STATUS_NOT_SUPPORTED
#define cudnnGetRNNLinLayerMatrixParams(...) CUDNN_STATUS_NOT_SUPPORTED
#define cudnnGetRNNLinLayerBiasParams(...) CUDNN_STATUS_NOT_SUPPORTED
#define cudnnRNNForwardTraining(...) CUDNN_STATUS_NOT_SUPPORTED
#define cudnnRNNForwardInference(...) CUDNN_STATUS_NOT_SUPPORTED
#define cudnnRNNBackwardData(...) CUDNN_STATUS_NOT_SUPPORTED
#define cudnnRNNBackwardWeights(...) CUDNN_STATUS_NOT_SUPPORTED
