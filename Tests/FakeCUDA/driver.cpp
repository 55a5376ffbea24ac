// The driver of a GPU that is none: memory between guards and full of NaN, modules that name a source and a precision, launches
// on fibres. Faults are injected for the calling thread.
#include "fake.h"
#include "tensor_map.h"
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

namespace fake {

thread_local Gpu gpu;

namespace {
constexpr size_t guardBytes = 4096;
constexpr unsigned char guardMark = 0x5a;
constexpr unsigned char fresh = 0xff;

struct Allocation {
  size_t bytes;
  std::shared_ptr<Account> account;
};
std::mutex lock;
std::map<uint64_t, Allocation> allocations;

int damage(uint64_t address, size_t bytes) {
  auto *user = reinterpret_cast<unsigned char *>(address);
  int damaged = 0;
  for (size_t i = 0; i < guardBytes; i++) damaged |= user[-1 - (ptrdiff_t)i] != guardMark || user[bytes + i] != guardMark;
  return damaged;
}

/// A kernel as a module has it, and how much dynamic shared memory it was allowed; 48 KiB where nobody asked.
struct Function {
  const Kernel *kernel;
  unsigned allowed = 48 << 10;
};
struct Module {
  std::string precision;
  std::map<std::string, Function> functions;
};
struct Event {
  std::chrono::steady_clock::time_point time;
  double milliseconds;
};

#define ENTER(name)                                                                                                              \
  if (int code = enter(name)) return code

int init(unsigned) {
  ENTER("cuInit");
  return 0;
}
int driverVersion(int *version) {
  ENTER("cuDriverGetVersion");
  *version = 13000;
  return 0;
}
int deviceCount(int *count) {
  ENTER("cuDeviceGetCount");
  *count = gpu.devices;
  return 0;
}
int deviceGet(int *device, int ordinal) {
  ENTER("cuDeviceGet");
  if (ordinal < 0 || ordinal >= gpu.devices) return 101;
  *device = ordinal;
  return 0;
}
int deviceName(char *name, int length, int) {
  ENTER("cuDeviceGetName");
  strncpy(name, "Fibres on the host", length);
  return 0;
}
int deviceAttribute(int *value, int attribute, int) {
  ENTER("cuDeviceGetAttribute");
  // Few multiprocessors, so that persistent blocks draw several tiles each.
  switch (attribute) {
  case 16: *value = 3; return 0;
  case 75: *value = gpu.major; return 0;
  case 76: *value = gpu.minor; return 0;
  case 97: *value = 232448; return 0;
  default: *value = 1; return 0;
  }
}
int totalMemory(size_t *bytes, int) {
  ENTER("cuDeviceTotalMem_v2");
  *bytes = gpu.memory;
  return 0;
}
int busId(char *text, int length, int device) {
  ENTER("cuDeviceGetPCIBusId");
  snprintf(text, length, "0000:%02X:00.0", firstBus + gpu.firstVisible + device);
  return 0;
}
int contextRetain(void **context, int) {
  ENTER("cuDevicePrimaryCtxRetain");
  gpu.account->objects++;
  *context = &gpu;
  return 0;
}
int contextRelease(int) {
  gpu.account->objects--;
  return 0;
}
int contextSet(void *context) {
  ENTER("cuCtxSetCurrent");
  return context ? 0 : 201;
}
int moduleLoad(void **module, const void *image) {
  ENTER("cuModuleLoadData");
  if (strncmp(static_cast<const char *>(image), "FAKE ", 5)) return 200;
  gpu.account->objects++;
  *module = new Module{std::string(static_cast<const char *>(image) + 5, 4)};
  return 0;
}
int moduleUnload(void *module) {
  delete static_cast<Module *>(module);
  gpu.account->objects--;
  return 0;
}
int moduleFunction(void **function, void *module, const char *name) {
  ENTER("cuModuleGetFunction");
  auto *m = static_cast<Module *>(module);
  for (auto *kernel : kernels())
    if (m->precision == kernel->precision && !strcmp(name, kernel->name)) {
      *function = &m->functions.try_emplace(name, Function{kernel}).first->second;
      return 0;
    }
  return 500;
}
int functionAttribute(void *function, int attribute, int value) {
  ENTER("cuFuncSetAttribute");
  if (attribute != FG_FUNCTION_DYNAMIC_SHARED || value < 0 || value > 232448) return 1;
  static_cast<Function *>(function)->allowed = value;
  return 0;
}
int launchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                 void *, void **parameters, void **) {
  ENTER("cuLaunchKernel");
  auto *kernel = static_cast<const Function *>(function)->kernel;
  if (int code = enter(kernel->name)) {
    if (code == 719) gpu.lost = code;
    return code;
  }
  if (shared > static_cast<const Function *>(function)->allowed) return 1;
  gpu.launches[kernel->name]++;
  gpu.milliseconds += gpu.launchMilliseconds;
  gpu.millijoules[gpu.firstVisible & 15] += gpu.millijoulesPerLaunch;
  try {
    launch(*kernel, {gx, gy, gz}, {bx, by, bz}, shared, parameters);
  } catch (const Fault &fault) {
    gpu.fault = fault.what;
    gpu.lost = 719;
    return 719;
  }
  return 0;
}
int allocate(uint64_t *address, size_t bytes) {
  ENTER("cuMemAlloc_v2");
  if (bytes == 0) return 1;
  std::lock_guard<std::mutex> hold(lock);
  if (gpu.account->bytes + bytes > gpu.memory) return 2;
  auto *start = static_cast<unsigned char *>(aligned_alloc(256, (bytes + 2 * guardBytes + 255) / 256 * 256));
  memset(start, guardMark, guardBytes);
  memset(start + guardBytes, fresh, bytes);
  memset(start + guardBytes + bytes, guardMark, guardBytes);
  *address = reinterpret_cast<uint64_t>(start + guardBytes);
  allocations[*address] = {bytes, gpu.account};
  gpu.account->bytes += bytes;
  gpu.account->allocations++;
  return 0;
}
int release(uint64_t address) {
  std::lock_guard<std::mutex> hold(lock);
  auto found = allocations.find(address);
  if (found == allocations.end()) return 1;
  auto account = found->second.account;
  account->damaged += damage(address, found->second.bytes);
  account->bytes -= found->second.bytes;
  account->allocations--;
  allocations.erase(found);
  free(reinterpret_cast<unsigned char *>(address) - guardBytes);
  return 0;
}
int memoryInformation(size_t *free, size_t *total) {
  ENTER("cuMemGetInfo_v2");
  *free = gpu.memory - gpu.account->bytes;
  *total = gpu.memory;
  return 0;
}
int toDevice(uint64_t target, const void *source, size_t bytes, void *) {
  ENTER("cuMemcpyHtoDAsync_v2");
  memcpy(reinterpret_cast<void *>(target), source, bytes);
  return 0;
}
int toHost(void *target, uint64_t source, size_t bytes, void *) {
  ENTER("cuMemcpyDtoHAsync_v2");
  memcpy(target, reinterpret_cast<void *>(source), bytes);
  return 0;
}
int onDevice(uint64_t target, uint64_t source, size_t bytes, void *) {
  ENTER("cuMemcpyDtoDAsync_v2");
  memcpy(reinterpret_cast<void *>(target), reinterpret_cast<void *>(source), bytes);
  return 0;
}
int copy2D(const fg_copy_2d *c, void *) {
  ENTER("cuMemcpy2DAsync_v2");
  if (c->srcMemoryType != 2 || c->dstMemoryType != 2 || c->srcPitch < c->WidthInBytes || c->dstPitch < c->WidthInBytes) return 1;
  for (size_t y = 0; y < c->Height; y++)
    memcpy(reinterpret_cast<unsigned char *>(c->dstDevice) + (c->dstY + y) * c->dstPitch + c->dstXInBytes,
           reinterpret_cast<unsigned char *>(c->srcDevice) + (c->srcY + y) * c->srcPitch + c->srcXInBytes, c->WidthInBytes);
  return 0;
}
int setBytes(uint64_t target, unsigned char value, size_t count, void *) {
  ENTER("cuMemsetD8Async");
  memset(reinterpret_cast<void *>(target), value, count);
  return 0;
}
int setBytes2D(uint64_t target, size_t pitch, unsigned char value, size_t width, size_t height, void *) {
  ENTER("cuMemsetD2D8Async");
  for (size_t y = 0; y < height; y++) memset(reinterpret_cast<unsigned char *>(target) + y * pitch, value, width);
  return 0;
}
int streamCreate(void **stream, unsigned) {
  ENTER("cuStreamCreate");
  gpu.account->objects++;
  *stream = new int(0);
  return 0;
}
int streamDestroy(void *stream) {
  delete static_cast<int *>(stream);
  gpu.account->objects--;
  return 0;
}
int streamSynchronize(void *) {
  ENTER("cuStreamSynchronize");
  return 0;
}
int eventCreate(void **event, unsigned) {
  ENTER("cuEventCreate");
  gpu.account->objects++;
  *event = new Event();
  return 0;
}
int eventDestroy(void *event) {
  delete static_cast<Event *>(event);
  gpu.account->objects--;
  return 0;
}
int eventRecord(void *event, void *) {
  ENTER("cuEventRecord");
  *static_cast<Event *>(event) = {std::chrono::steady_clock::now(), gpu.milliseconds};
  return 0;
}
int eventSynchronize(void *) {
  ENTER("cuEventSynchronize");
  return 0;
}
int eventElapsed(float *milliseconds, void *start, void *end) {
  ENTER("cuEventElapsedTime");
  auto time = static_cast<Event *>(end)->time - static_cast<Event *>(start)->time;
  double passed = static_cast<Event *>(end)->milliseconds - static_cast<Event *>(start)->milliseconds;
  *milliseconds = std::chrono::duration<float, std::milli>(time).count() + (float)passed;
  return 0;
}
/// The requirements are those of cuTensorMapEncodeTiled in cuda.h; of its kinds of map only the one that kernels use.
int encodeTiled(fg_tensor_map *map, int type, unsigned rank, void *address, const uint64_t *sizes, const uint64_t *strides,
                const unsigned *box, const unsigned *elementStrides, int interleave, int swizzle, int promotion, int fill) {
  ENTER("cuTensorMapEncodeTiled");
  auto at = reinterpret_cast<uint64_t>(address);
  if (reinterpret_cast<uintptr_t>(map) % 64 || at % 16 || strides[0] % 16 || strides[0] >= 1ull << 40) return 1;
  if (type != FG_MAP_BF16 || rank != 2 || interleave != 0 || swizzle != FG_MAP_SWIZZLE_128 || fill != 0) return 1;
  if (promotion < 0 || promotion > FG_MAP_PROMOTION_256) return 1;
  for (int i = 0; i < 2; i++)
    if (sizes[i] == 0 || sizes[i] > 1ull << 32 || box[i] == 0 || box[i] > 256 || elementStrides[i] != 1) return 1;
  // A box may also be narrower than the pattern; the fake has none such.
  if (box[0] * 2 != 128 || strides[0] < sizes[0] * 2) return 1;
  TensorMap m = {TensorMap::mark, at, {sizes[0], sizes[1]}, strides[0], {box[0], box[1]}};
  memset(map, 0, sizeof *map);
  memcpy(map, &m, sizeof m);
  return 0;
}
int errorName(int error, const char **name) {
  *name = error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : error == 719 ? "CUDA_ERROR_LAUNCH_FAILED" : "CUDA_ERROR_OF_THE_FAKE";
  return 0;
}
int errorString(int error, const char **text) {
  *text = error == 2 ? "out of memory" : error == 719 ? "unspecified launch failure" : "a fault of the fake";
  return 0;
}

const std::map<std::string, void *> functions = {
    {"cuInit", (void *)init}, {"cuDriverGetVersion", (void *)driverVersion}, {"cuDeviceGetCount", (void *)deviceCount},
    {"cuDeviceGet", (void *)deviceGet}, {"cuDeviceGetName", (void *)deviceName}, {"cuDeviceGetAttribute", (void *)deviceAttribute},
    {"cuDeviceTotalMem_v2", (void *)totalMemory}, {"cuDeviceGetPCIBusId", (void *)busId},
    {"cuDevicePrimaryCtxRetain", (void *)contextRetain},
    {"cuDevicePrimaryCtxRelease_v2", (void *)contextRelease}, {"cuCtxSetCurrent", (void *)contextSet},
    {"cuModuleLoadData", (void *)moduleLoad}, {"cuModuleUnload", (void *)moduleUnload}, {"cuModuleGetFunction", (void *)moduleFunction},
    {"cuFuncSetAttribute", (void *)functionAttribute}, {"cuLaunchKernel", (void *)launchKernel}, {"cuMemAlloc_v2", (void *)allocate},
    {"cuMemFree_v2", (void *)release}, {"cuMemGetInfo_v2", (void *)memoryInformation}, {"cuMemcpyHtoDAsync_v2", (void *)toDevice},
    {"cuMemcpyDtoHAsync_v2", (void *)toHost}, {"cuMemcpyDtoDAsync_v2", (void *)onDevice}, {"cuMemcpy2DAsync_v2", (void *)copy2D},
    {"cuMemsetD8Async", (void *)setBytes}, {"cuMemsetD2D8Async", (void *)setBytes2D}, {"cuStreamCreate", (void *)streamCreate},
    {"cuStreamDestroy_v2", (void *)streamDestroy}, {"cuStreamSynchronize", (void *)streamSynchronize}, {"cuEventCreate", (void *)eventCreate},
    {"cuEventDestroy_v2", (void *)eventDestroy}, {"cuEventRecord", (void *)eventRecord}, {"cuEventSynchronize", (void *)eventSynchronize},
    {"cuEventElapsedTime", (void *)eventElapsed}, {"cuTensorMapEncodeTiled", (void *)encodeTiled},
    {"cuGetErrorName", (void *)errorName}, {"cuGetErrorString", (void *)errorString}};
} // namespace

int enter(const char *name) {
  gpu.calls[name]++;
  if (gpu.lost) return gpu.lost;
  auto found = gpu.failures.find(name);
  if (found == gpu.failures.end() || --found->second.nth > 0) return 0;
  int code = found->second.code;
  gpu.failures.erase(found);
  return code;
}

void *driverSymbol(const std::string &name) {
  auto found = functions.find(name);
  return found == functions.end() ? nullptr : found->second;
}

int damagedGuards() {
  std::lock_guard<std::mutex> hold(lock);
  int damaged = gpu.account->damaged;
  for (auto &[address, allocation] : allocations)
    if (allocation.account == gpu.account) damaged += damage(address, allocation.bytes);
  return damaged;
}

} // namespace fake

extern "C" {
void *fake_symbol(const char *name) {
  std::string text(name);
  if (!fake::gpu.hidden.empty() && text.rfind(fake::gpu.hidden, 0) == 0) return nullptr;
  if (void *symbol = fake::driverSymbol(text)) return symbol;
  if (void *symbol = fake::compilerSymbol(text)) return symbol;
  if (void *symbol = fake::matmulSymbol(text)) return symbol;
  if (void *symbol = fake::sparseSymbol(text)) return symbol;
  return fake::managementSymbol(text);
}
void fake_reset(void) { fake::gpu = fake::Gpu(); }
void fake_set_devices(int count) { fake::gpu.devices = count; }
void fake_set_capability(int major, int minor) {
  fake::gpu.major = major;
  fake::gpu.minor = minor;
}
void fake_set_memory(size_t bytes) { fake::gpu.memory = bytes; }
void fake_fail(const char *name, int nth, int code) { fake::gpu.failures[name] = {nth, code}; }
void fake_set_sparse_version(int version) { fake::gpu.sparseVersion = version; }
void fake_let_pass(double launchMilliseconds, double sparseMilliseconds) {
  fake::gpu.launchMilliseconds = launchMilliseconds;
  fake::gpu.sparseMilliseconds = sparseMilliseconds;
}
void fake_falsify_sparse(int algorithm) { fake::gpu.wrongAlgorithm = algorithm; }
void fake_fail_candidate(int candidate) { fake::gpu.failingCandidate = candidate; }
int fake_calls(const char *name) { return fake::gpu.calls[name]; }
void fake_lose_device(int code) { fake::gpu.lost = code; }
void fake_hide(const char *prefix) { fake::gpu.hidden = prefix; }
int fake_live_allocations(void) { return fake::gpu.account->allocations; }
int fake_live_objects(void) { return fake::gpu.account->objects; }
int fake_damaged_guards(void) { return fake::damagedGuards(); }
int fake_launches(const char *kernel) {
  int sum = 0;
  for (auto &[name, count] : fake::gpu.launches)
    if (!kernel || name == kernel) sum += count;
  return sum;
}
const char *fake_fault(void) { return fake::gpu.fault.c_str(); }
int fake_kernel_count(void) { return (int)fake::kernels().size(); }
const char *fake_kernel_name(int index) { return fake::kernels()[index]->name; }
const char *fake_kernel_precision(int index) { return fake::kernels()[index]->precision; }
}
