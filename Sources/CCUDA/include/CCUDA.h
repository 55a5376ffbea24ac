/* What Filigree calls of NVIDIA's libraries, declared here so that nothing of CUDA is needed to build: the libraries are opened
 * at run time. Names, numbers and layouts are those of CUDA 13.0's public headers (cuda.h, nvrtc.h, cublasLt.h, nvml.h) and
 * cusparseLt.h. */
#ifndef CCUDA_H
#define CCUDA_H
#include "arguments.h"
#include <stddef.h>
#include <stdint.h>

typedef uint64_t fg_address; /* CUdeviceptr */
typedef void *fg_handle;     /* CUcontext, CUmodule, CUfunction, CUstream, CUevent, cublasLtHandle_t, ... */

/* CUresult */
enum {
  FG_CUDA_OUT_OF_MEMORY = 2,
  FG_CUDA_NO_DEVICE = 100,
  FG_CUDA_INVALID_DEVICE = 101,
  FG_CUDA_NO_BINARY = 209,
  FG_CUDA_LAUNCH_FAILED = 719,
};
/* CUdevice_attribute */
enum {
  FG_ATTRIBUTE_MULTIPROCESSORS = 16,
  FG_ATTRIBUTE_PCI_BUS = 33,
  FG_ATTRIBUTE_PCI_DEVICE = 34,
  FG_ATTRIBUTE_MAJOR = 75,
  FG_ATTRIBUTE_MINOR = 76,
  FG_ATTRIBUTE_SHARED_PER_BLOCK = 97, /* ..._OPTIN */
};
/* CUfunction_attribute */
enum { FG_FUNCTION_DYNAMIC_SHARED = 8 };
enum { FG_STREAM_NON_BLOCKING = 1 };

/* CUDA_MEMCPY2D, with memory types of 2 (device) */
typedef struct fg_copy_2d {
  size_t srcXInBytes, srcY;
  unsigned srcMemoryType;
  const void *srcHost;
  fg_address srcDevice;
  void *srcArray;
  size_t srcPitch;
  size_t dstXInBytes, dstY;
  unsigned dstMemoryType;
  void *dstHost;
  fg_address dstDevice;
  void *dstArray;
  size_t dstPitch;
  size_t WidthInBytes, Height;
} fg_copy_2d;

/* The driver: libcuda.so.1. Each field is the function of the name in fg_driver_names at its place. */
typedef struct fg_driver {
  int (*init)(unsigned flags);
  int (*driverGetVersion)(int *version);
  int (*deviceGetCount)(int *count);
  int (*deviceGet)(int *device, int ordinal);
  int (*deviceGetName)(char *name, int length, int device);
  int (*deviceGetAttribute)(int *value, int attribute, int device);
  int (*deviceTotalMem)(size_t *bytes, int device);
  int (*deviceGetPCIBusId)(char *text, int length, int device);
  int (*primaryContextRetain)(fg_handle *context, int device);
  int (*primaryContextRelease)(int device);
  int (*contextSetCurrent)(fg_handle context);
  int (*moduleLoadData)(fg_handle *module, const void *image);
  int (*moduleUnload)(fg_handle module);
  int (*moduleGetFunction)(fg_handle *function, fg_handle module, const char *name);
  int (*functionSetAttribute)(fg_handle function, int attribute, int value);
  int (*launchKernel)(fg_handle function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
                      unsigned blockZ, unsigned sharedBytes, fg_handle stream, void **parameters, void **extra);
  int (*memoryAllocate)(fg_address *address, size_t bytes);
  int (*memoryFree)(fg_address address);
  int (*memoryInformation)(size_t *free, size_t *total);
  int (*copyToDevice)(fg_address target, const void *source, size_t bytes, fg_handle stream);
  int (*copyToHost)(void *target, fg_address source, size_t bytes, fg_handle stream);
  int (*copyOnDevice)(fg_address target, fg_address source, size_t bytes, fg_handle stream);
  int (*copy2D)(const fg_copy_2d *copy, fg_handle stream);
  int (*setBytes)(fg_address target, unsigned char value, size_t count, fg_handle stream);
  int (*setBytes2D)(fg_address target, size_t pitch, unsigned char value, size_t width, size_t height, fg_handle stream);
  int (*streamCreate)(fg_handle *stream, unsigned flags);
  int (*streamDestroy)(fg_handle stream);
  int (*streamSynchronize)(fg_handle stream);
  int (*eventCreate)(fg_handle *event, unsigned flags);
  int (*eventDestroy)(fg_handle event);
  int (*eventRecord)(fg_handle event, fg_handle stream);
  int (*eventSynchronize)(fg_handle event);
  int (*eventElapsedTime)(float *milliseconds, fg_handle start, fg_handle end);
  int (*getErrorName)(int error, const char **name);
  int (*getErrorString)(int error, const char **text);
} fg_driver;

/* CUtensorMapDataType, CUtensorMapSwizzle, CUtensorMapL2promotion */
enum { FG_MAP_BF16 = 9, FG_MAP_SWIZZLE_128 = 3, FG_MAP_PROMOTION_256 = 3 };

/* The driver's maps for bulk copies, a table of their own: drivers before CUDA 12.0 have none. */
typedef struct fg_tensor_maps {
  int (*encodeTiled)(fg_tensor_map *map, int type, unsigned rank, void *address, const uint64_t *sizes, const uint64_t *strides,
                     const unsigned *box, const unsigned *elementStrides, int interleave, int swizzle, int promotion, int fill);
} fg_tensor_maps;

/* The run-time compiler: libnvrtc.so */
typedef struct fg_compiler {
  int (*version)(int *major, int *minor);
  int (*createProgram)(fg_handle *program, const char *source, const char *name, int headers, const char *const *headerTexts,
                       const char *const *headerNames);
  int (*compileProgram)(fg_handle program, int options, const char *const *option);
  int (*destroyProgram)(fg_handle *program);
  int (*getCUBINSize)(fg_handle program, size_t *bytes);
  int (*getCUBIN)(fg_handle program, char *cubin);
  int (*getProgramLogSize)(fg_handle program, size_t *bytes);
  int (*getProgramLog)(fg_handle program, char *log);
  const char *(*getErrorString)(int error);
} fg_compiler;

/* cublasLtMatmulHeuristicResult_t; the first member is cublasLtMatmulAlgo_t. */
typedef struct fg_matmul_candidate {
  uint64_t algorithm[8];
  size_t workspaceBytes;
  int state;
  float waves;
  int reserved[4];
} fg_matmul_candidate;

/* cudaDataType, cublasComputeType_t, cublasOperation_t, cublasLtOrder_t and the attributes' numbers */
enum { FG_TYPE_FP32 = 0, FG_TYPE_BF16 = 14 };
enum { FG_COMPUTE_FP32 = 68, FG_COMPUTE_TF32 = 77 };
enum { FG_DESCRIPTION_TRANSPOSE_A = 3, FG_DESCRIPTION_TRANSPOSE_B = 4 };
enum { FG_LAYOUT_ORDER = 1, FG_LAYOUT_BATCH_COUNT = 5, FG_LAYOUT_BATCH_STRIDE = 6 };
enum { FG_PREFERENCE_WORKSPACE = 1, FG_PREFERENCE_ALIGNMENT_A = 5 };
enum { FG_ORDER_ROW = 1 };

/* Dense products: libcublasLt.so */
typedef struct fg_matmul {
  int (*create)(fg_handle *handle);
  int (*destroy)(fg_handle handle);
  size_t (*version)(void);
  int (*descriptionCreate)(fg_handle *description, int compute, int scaleType);
  int (*descriptionDestroy)(fg_handle description);
  int (*descriptionSet)(fg_handle description, int attribute, const void *value, size_t bytes);
  int (*layoutCreate)(fg_handle *layout, int type, uint64_t rows, uint64_t columns, int64_t leading);
  int (*layoutDestroy)(fg_handle layout);
  int (*layoutSet)(fg_handle layout, int attribute, const void *value, size_t bytes);
  int (*preferenceCreate)(fg_handle *preference);
  int (*preferenceDestroy)(fg_handle preference);
  int (*preferenceSet)(fg_handle preference, int attribute, const void *value, size_t bytes);
  int (*candidates)(fg_handle handle, fg_handle description, fg_handle a, fg_handle b, fg_handle c, fg_handle d,
                    fg_handle preference, int requested, fg_matmul_candidate *results, int *returned);
  int (*multiply)(fg_handle handle, fg_handle description, const void *alpha, const void *a, fg_handle aLayout, const void *b,
                  fg_handle bLayout, const void *beta, const void *c, fg_handle cLayout, void *d, fg_handle dLayout,
                  const uint64_t *algorithm, void *workspace, size_t workspaceBytes, fg_handle stream);
} fg_matmul;

/* cudaDataType, cusparseOrder_t, cusparseOperation_t, cusparseComputeType, cusparseLtSparsity_t, cusparseLtMatmulAlg_t and the
   attributes' numbers, those of cusparseLt.h 0.7.1, 0.8.1 and 0.10.0; of its opaque structures the largest has 1024 bytes,
   and 11024 in versions before 0.7, which are started before they can be asked for their version. */
enum { FG_SPARSE_ORDER_ROW = 2, FG_SPARSE_AS_IT_IS = 0, FG_SPARSE_COMPUTE_FP32 = 2, FG_SPARSE_HALF = 0, FG_SPARSE_DEFAULT = 0 };
enum { FG_SELECTION_ALGORITHM = 0, FG_SELECTION_ALGORITHMS = 1 };
enum { FG_SPARSE_OBJECT_BYTES = 16384, FG_SPARSE_OBJECT_ALIGNMENT = 16 };

/* Products with a factor that has two of every four: libcusparseLt.so. Objects are memory of the caller. */
typedef struct fg_sparse {
  int (*init)(fg_handle handle);
  int (*destroy)(fg_handle handle);
  int (*version)(fg_handle handle, int *version);
  int (*dense)(fg_handle handle, fg_handle matrix, int64_t rows, int64_t columns, int64_t leading, uint32_t alignment, int type,
               int order);
  int (*structured)(fg_handle handle, fg_handle matrix, int64_t rows, int64_t columns, int64_t leading, uint32_t alignment, int type,
                    int order, int sparsity);
  int (*matrixDestroy)(fg_handle matrix);
  int (*description)(fg_handle handle, fg_handle description, int operationA, int operationB, fg_handle a, fg_handle b, fg_handle c,
                     fg_handle d, int compute);
  int (*selection)(fg_handle handle, fg_handle selection, fg_handle description, int algorithm);
  int (*selectionSet)(fg_handle handle, fg_handle selection, int attribute, const void *data, size_t bytes);
  int (*selectionGet)(fg_handle handle, fg_handle selection, int attribute, void *data, size_t bytes);
  int (*plan)(fg_handle handle, fg_handle plan, fg_handle description, fg_handle selection);
  int (*planDestroy)(fg_handle plan);
  int (*workspace)(fg_handle handle, fg_handle plan, size_t *bytes);
  int (*multiply)(fg_handle handle, fg_handle plan, const void *alpha, const void *a, const void *b, const void *beta, const void *c,
                  void *d, void *workspace, fg_handle *streams, int32_t count);
  int (*compressedBytes)(fg_handle handle, fg_handle matrix, size_t *bytes, size_t *bufferBytes);
  int (*compress)(fg_handle handle, fg_handle matrix, int isA, int operation, const void *dense, void *compressed, void *buffer,
                  fg_handle stream);
} fg_sparse;

/* What versions before 0.8 have not, and need not. */
typedef struct fg_sparse_selection {
  int (*destroy)(fg_handle selection);
} fg_sparse_selection;

/* The management library: libnvidia-ml.so.1 */
typedef struct fg_management {
  int (*init)(void);
  int (*shutdown)(void);
  int (*driverVersion)(char *text, unsigned length);
} fg_management;

/* Its energy counters, a table of their own: a library without them still knows the driver's version. */
typedef struct fg_energy {
  int (*init)(void);
  int (*shutdown)(void);
  int (*deviceByPCIBusId)(const char *text, fg_handle *device);
  int (*totalEnergy)(fg_handle device, unsigned long long *millijoules);
} fg_energy;

/* The names of the functions in the order of the fields above; null past the last. */
const char *fg_driver_name(int index);
const char *fg_tensor_maps_name(int index);
const char *fg_compiler_name(int index);
const char *fg_matmul_name(int index);
const char *fg_sparse_name(int index);
const char *fg_sparse_selection_name(int index);
const char *fg_management_name(int index);
const char *fg_energy_name(int index);

/* A file of kernels/, as it is in the tree. */
typedef struct fg_source {
  const char *name;
  const char *text; /* ends in a zero */
} fg_source;
/* The name is null past the last. */
fg_source fg_source_at(int index);

#endif
