#include "CCUDA.h"

static const char *const fg_driver_names[] = {
    "cuInit", "cuDriverGetVersion", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute",
    "cuDeviceTotalMem_v2", "cuDeviceGetPCIBusId", "cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2", "cuCtxSetCurrent", "cuModuleLoadData",
    "cuModuleUnload", "cuModuleGetFunction", "cuFuncSetAttribute", "cuLaunchKernel", "cuMemAlloc_v2", "cuMemFree_v2",
    "cuMemGetInfo_v2", "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuMemcpyDtoDAsync_v2", "cuMemcpy2DAsync_v2",
    "cuMemsetD8Async", "cuMemsetD2D8Async", "cuStreamCreate", "cuStreamDestroy_v2", "cuStreamSynchronize", "cuEventCreate",
    "cuEventDestroy_v2", "cuEventRecord", "cuEventSynchronize", "cuEventElapsedTime", "cuGetErrorName", "cuGetErrorString"};
_Static_assert(sizeof fg_driver_names == sizeof(fg_driver), "a name for each function of the driver");

static const char *const fg_tensor_maps_names[] = {"cuTensorMapEncodeTiled"};
_Static_assert(sizeof fg_tensor_maps_names == sizeof(fg_tensor_maps), "a name for each function of the driver's maps");

static const char *const fg_compiler_names[] = {
    "nvrtcVersion", "nvrtcCreateProgram", "nvrtcCompileProgram", "nvrtcDestroyProgram", "nvrtcGetCUBINSize", "nvrtcGetCUBIN",
    "nvrtcGetProgramLogSize", "nvrtcGetProgramLog", "nvrtcGetErrorString"};
_Static_assert(sizeof fg_compiler_names == sizeof(fg_compiler), "a name for each function of the compiler");

static const char *const fg_matmul_names[] = {
    "cublasLtCreate", "cublasLtDestroy", "cublasLtGetVersion", "cublasLtMatmulDescCreate", "cublasLtMatmulDescDestroy",
    "cublasLtMatmulDescSetAttribute", "cublasLtMatrixLayoutCreate", "cublasLtMatrixLayoutDestroy",
    "cublasLtMatrixLayoutSetAttribute", "cublasLtMatmulPreferenceCreate", "cublasLtMatmulPreferenceDestroy",
    "cublasLtMatmulPreferenceSetAttribute", "cublasLtMatmulAlgoGetHeuristic", "cublasLtMatmul"};
_Static_assert(sizeof fg_matmul_names == sizeof(fg_matmul), "a name for each function of cuBLASLt");

static const char *const fg_sparse_names[] = {
    "cusparseLtInit", "cusparseLtDestroy", "cusparseLtGetVersion", "cusparseLtDenseDescriptorInit",
    "cusparseLtStructuredDescriptorInit", "cusparseLtMatDescriptorDestroy", "cusparseLtMatmulDescriptorInit",
    "cusparseLtMatmulAlgSelectionInit", "cusparseLtMatmulAlgSetAttribute", "cusparseLtMatmulAlgGetAttribute",
    "cusparseLtMatmulPlanInit", "cusparseLtMatmulPlanDestroy", "cusparseLtMatmulGetWorkspace", "cusparseLtMatmul",
    "cusparseLtSpMMACompressedSize2", "cusparseLtSpMMACompress2"};
_Static_assert(sizeof fg_sparse_names == sizeof(fg_sparse), "a name for each function of cuSPARSELt");

static const char *const fg_sparse_selection_names[] = {"cusparseLtMatmulAlgSelectionDestroy"};
_Static_assert(sizeof fg_sparse_selection_names == sizeof(fg_sparse_selection), "a name for each function of cuSPARSELt's selections");

static const char *const fg_management_names[] = {"nvmlInit_v2", "nvmlShutdown", "nvmlSystemGetDriverVersion"};
_Static_assert(sizeof fg_management_names == sizeof(fg_management), "a name for each function of NVML");

static const char *const fg_energy_names[] = {
    "nvmlInit_v2", "nvmlShutdown", "nvmlDeviceGetHandleByPciBusId_v2", "nvmlDeviceGetTotalEnergyConsumption"};
_Static_assert(sizeof fg_energy_names == sizeof(fg_energy), "a name for each function of NVML's energy counters");

_Static_assert(sizeof(fg_grid_warpgroup_gradient) % 128 == 0, "as large here as where its maps are aligned");

const char *fg_driver_name(int index) {
  return index >= 0 && (size_t)index < sizeof fg_driver_names / sizeof *fg_driver_names ? fg_driver_names[index] : NULL;
}

const char *fg_tensor_maps_name(int index) {
  return index >= 0 && (size_t)index < sizeof fg_tensor_maps_names / sizeof *fg_tensor_maps_names ? fg_tensor_maps_names[index] : NULL;
}

const char *fg_compiler_name(int index) {
  return index >= 0 && (size_t)index < sizeof fg_compiler_names / sizeof *fg_compiler_names ? fg_compiler_names[index] : NULL;
}

const char *fg_matmul_name(int index) {
  return index >= 0 && (size_t)index < sizeof fg_matmul_names / sizeof *fg_matmul_names ? fg_matmul_names[index] : NULL;
}

const char *fg_sparse_name(int index) {
  return index >= 0 && (size_t)index < sizeof fg_sparse_names / sizeof *fg_sparse_names ? fg_sparse_names[index] : NULL;
}

const char *fg_sparse_selection_name(int index) {
  return index >= 0 && (size_t)index < sizeof fg_sparse_selection_names / sizeof *fg_sparse_selection_names
             ? fg_sparse_selection_names[index]
             : NULL;
}

const char *fg_management_name(int index) {
  return index >= 0 && (size_t)index < sizeof fg_management_names / sizeof *fg_management_names ? fg_management_names[index] : NULL;
}

const char *fg_energy_name(int index) {
  return index >= 0 && (size_t)index < sizeof fg_energy_names / sizeof *fg_energy_names ? fg_energy_names[index] : NULL;
}
