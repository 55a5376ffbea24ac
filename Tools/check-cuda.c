/* The declarations of Sources/CCUDA against NVIDIA's own headers: numbers, layouts, and that what we pass is what they take. Compiled
 * by Tools/check-cuda.sh, never linked. The headers of the driver and of NVRTC are required; the others are compared where they are. */
#include <cuda.h>
#include <nvrtc.h>
#include "CCUDA.h"

#define SAME(ours, theirs) _Static_assert((long)(ours) == (long)(theirs), #ours)
SAME(FG_CUDA_OUT_OF_MEMORY, CUDA_ERROR_OUT_OF_MEMORY);
SAME(FG_CUDA_NO_DEVICE, CUDA_ERROR_NO_DEVICE);
SAME(FG_CUDA_INVALID_DEVICE, CUDA_ERROR_INVALID_DEVICE);
SAME(FG_CUDA_NO_BINARY, CUDA_ERROR_NO_BINARY_FOR_GPU);
SAME(FG_CUDA_LAUNCH_FAILED, CUDA_ERROR_LAUNCH_FAILED);
SAME(FG_ATTRIBUTE_MULTIPROCESSORS, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
SAME(FG_ATTRIBUTE_PCI_BUS, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID);
SAME(FG_ATTRIBUTE_PCI_DEVICE, CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID);
SAME(FG_ATTRIBUTE_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
SAME(FG_ATTRIBUTE_MINOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
SAME(FG_ATTRIBUTE_SHARED_PER_BLOCK, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
SAME(FG_FUNCTION_DYNAMIC_SHARED, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
SAME(FG_STREAM_NON_BLOCKING, CU_STREAM_NON_BLOCKING);
SAME(2, CU_MEMORYTYPE_DEVICE);
SAME(sizeof(fg_address), sizeof(CUdeviceptr));
SAME(sizeof(CUdevice), sizeof(int));
SAME(sizeof(CUresult), sizeof(int));

#define FIELD(name) SAME(offsetof(fg_copy_2d, name), offsetof(CUDA_MEMCPY2D, name))
SAME(sizeof(fg_copy_2d), sizeof(CUDA_MEMCPY2D));
FIELD(srcXInBytes); FIELD(srcY); FIELD(srcMemoryType); FIELD(srcHost); FIELD(srcDevice); FIELD(srcArray); FIELD(srcPitch);
FIELD(dstXInBytes); FIELD(dstY); FIELD(dstMemoryType); FIELD(dstHost); FIELD(dstDevice); FIELD(dstArray); FIELD(dstPitch);
FIELD(WidthInBytes); FIELD(Height);

SAME(FG_MAP_BF16, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16);
SAME(FG_MAP_SWIZZLE_128, CU_TENSOR_MAP_SWIZZLE_128B);
SAME(FG_MAP_PROMOTION_256, CU_TENSOR_MAP_L2_PROMOTION_L2_256B);
SAME(sizeof(fg_tensor_map), sizeof(CUtensorMap));
SAME(128, _Alignof(CUtensorMap));
SAME(sizeof(CUtensorMapSwizzle), sizeof(int));

/* The same arguments, those of NVRTC's own types, to its functions and to ours: neither call may need a cast but that of a handle. */
SAME(sizeof(nvrtcProgram), sizeof(fg_handle));
SAME(sizeof(nvrtcResult), sizeof(int));
SAME(0, NVRTC_SUCCESS);
__attribute__((unused)) static void compiler(const fg_compiler *f, nvrtcProgram p, char *text, const char *const *texts, size_t *bytes,
                                             int *number, nvrtcResult r) {
  r = nvrtcVersion(number, number);
  r = (nvrtcResult)f->version(number, number);
  r = nvrtcCreateProgram(&p, text, text, 1, texts, texts);
  r = (nvrtcResult)f->createProgram((fg_handle *)&p, text, text, 1, texts, texts);
  r = nvrtcCompileProgram(p, 1, texts);
  r = (nvrtcResult)f->compileProgram(p, 1, texts);
  r = nvrtcDestroyProgram(&p);
  r = (nvrtcResult)f->destroyProgram((fg_handle *)&p);
  r = nvrtcGetCUBINSize(p, bytes);
  r = (nvrtcResult)f->getCUBINSize(p, bytes);
  r = nvrtcGetCUBIN(p, text);
  r = (nvrtcResult)f->getCUBIN(p, text);
  r = nvrtcGetProgramLogSize(p, bytes);
  r = (nvrtcResult)f->getProgramLogSize(p, bytes);
  r = nvrtcGetProgramLog(p, text);
  r = (nvrtcResult)f->getProgramLog(p, text);
  const char *words = nvrtcGetErrorString(r);
  words = f->getErrorString(r);
  (void)words;
}

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
SAME(FG_TYPE_FP32, CUDA_R_32F);
SAME(FG_TYPE_BF16, CUDA_R_16BF);
SAME(FG_COMPUTE_FP32, CUBLAS_COMPUTE_32F);
SAME(FG_COMPUTE_TF32, CUBLAS_COMPUTE_32F_FAST_TF32);
SAME(FG_DESCRIPTION_TRANSPOSE_A, CUBLASLT_MATMUL_DESC_TRANSA);
SAME(FG_DESCRIPTION_TRANSPOSE_B, CUBLASLT_MATMUL_DESC_TRANSB);
SAME(FG_LAYOUT_ORDER, CUBLASLT_MATRIX_LAYOUT_ORDER);
SAME(FG_LAYOUT_BATCH_COUNT, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT);
SAME(FG_LAYOUT_BATCH_STRIDE, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);
SAME(FG_PREFERENCE_WORKSPACE, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
SAME(FG_PREFERENCE_ALIGNMENT_A, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
SAME(FG_PREFERENCE_ALIGNMENT_A + 1, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
SAME(FG_PREFERENCE_ALIGNMENT_A + 2, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
SAME(FG_PREFERENCE_ALIGNMENT_A + 3, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
SAME(FG_ORDER_ROW, CUBLASLT_ORDER_ROW);
SAME(sizeof(fg_matmul_candidate), sizeof(cublasLtMatmulHeuristicResult_t));
SAME(sizeof(((fg_matmul_candidate *)0)->algorithm), sizeof(cublasLtMatmulAlgo_t));
SAME(offsetof(fg_matmul_candidate, workspaceBytes), offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
SAME(offsetof(fg_matmul_candidate, state), offsetof(cublasLtMatmulHeuristicResult_t, state));
SAME(offsetof(fg_matmul_candidate, waves), offsetof(cublasLtMatmulHeuristicResult_t, wavesCount));
#endif

#if __has_include(<nvml.h>)
#include <nvml.h>
SAME(sizeof(nvmlReturn_t), sizeof(int));
SAME(sizeof(nvmlDevice_t), sizeof(fg_handle));
SAME(0, NVML_SUCCESS);
__attribute__((unused)) static void management(const fg_management *f, const fg_energy *e, nvmlDevice_t d, char *text,
                                               unsigned long long *energy, nvmlReturn_t r) {
  r = nvmlInit_v2();
  r = (nvmlReturn_t)f->init();
  r = nvmlShutdown();
  r = (nvmlReturn_t)f->shutdown();
  r = nvmlSystemGetDriverVersion(text, 96);
  r = (nvmlReturn_t)f->driverVersion(text, 96);
  r = nvmlDeviceGetHandleByPciBusId_v2(text, &d);
  r = (nvmlReturn_t)e->deviceByPCIBusId(text, (fg_handle *)&d);
  r = nvmlDeviceGetTotalEnergyConsumption(d, energy);
  r = (nvmlReturn_t)e->totalEnergy(d, energy);
  (void)r;
}
#endif

#if __has_include(<cusparseLt.h>)
#include <cusparseLt.h>
SAME(FG_SPARSE_ORDER_ROW, CUSPARSE_ORDER_ROW);
SAME(FG_SPARSE_AS_IT_IS, CUSPARSE_OPERATION_NON_TRANSPOSE);
SAME(FG_SPARSE_COMPUTE_FP32, CUSPARSE_COMPUTE_32F);
SAME(FG_SPARSE_HALF, CUSPARSELT_SPARSITY_50_PERCENT);
SAME(FG_SPARSE_DEFAULT, CUSPARSELT_MATMUL_ALG_DEFAULT);
SAME(FG_SELECTION_ALGORITHM, CUSPARSELT_MATMUL_ALG_CONFIG_ID);
SAME(FG_SELECTION_ALGORITHMS, CUSPARSELT_MATMUL_ALG_CONFIG_MAX_ID);
_Static_assert(FG_SPARSE_OBJECT_BYTES >= sizeof(cusparseLtHandle_t), "memory for a handle");
_Static_assert(FG_SPARSE_OBJECT_BYTES >= sizeof(cusparseLtMatDescriptor_t), "memory for a matrix");
_Static_assert(FG_SPARSE_OBJECT_BYTES >= sizeof(cusparseLtMatmulDescriptor_t), "memory for a description");
_Static_assert(FG_SPARSE_OBJECT_BYTES >= sizeof(cusparseLtMatmulAlgSelection_t), "memory for a selection");
_Static_assert(FG_SPARSE_OBJECT_BYTES >= sizeof(cusparseLtMatmulPlan_t), "memory for a plan");
#endif
