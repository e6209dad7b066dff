// Included before everything that Jittor 1.3.11 compiles with CUDA 13: two members left `cudaDeviceProp`, which
// Jittor's helper_cuda.h names in functions that nothing calls.
#pragma once
#define computeMode integrated
#define clockRate multiProcessorCount
