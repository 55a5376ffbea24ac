// NVRTC's part: a "cubin" that names the precision it was compiled for; the host's compiler has done the work.
#include "fake.h"
#include <cstring>

namespace fake {
namespace {
struct Program {
  std::string source, name, cubin, log;
};

int version(int *major, int *minor) {
  *major = 13;
  *minor = 0;
  return 0;
}
int create(void **program, const char *source, const char *name, int, const char *const *, const char *const *) {
  if (int code = enter("nvrtcCreateProgram")) return code;
  gpu.account->objects++;
  *program = new Program{source, name, "", ""};
  return 0;
}
int compile(void *handle, int count, const char *const *options) {
  auto *program = static_cast<Program *>(handle);
  if (int code = enter("nvrtcCompileProgram")) {
    program->log = program->name + "(1): error: the fake was told to fail\n";
    return code;
  }
  bool bf16 = false;
  for (int i = 0; i < count; i++) bf16 |= !strcmp(options[i], "-DELEMENT_BF16");
  program->cubin = std::string("FAKE ") + (bf16 ? "bf16" : "fp32") + " " + program->name;
  return 0;
}
int destroy(void **program) {
  delete static_cast<Program *>(*program);
  *program = nullptr;
  gpu.account->objects--;
  return 0;
}
int cubinSize(void *program, size_t *bytes) {
  *bytes = static_cast<Program *>(program)->cubin.size() + 1;
  return 0;
}
int cubin(void *program, char *target) {
  strcpy(target, static_cast<Program *>(program)->cubin.c_str());
  return 0;
}
int logSize(void *program, size_t *bytes) {
  *bytes = static_cast<Program *>(program)->log.size() + 1;
  return 0;
}
int log(void *program, char *target) {
  strcpy(target, static_cast<Program *>(program)->log.c_str());
  return 0;
}
const char *errorString(int) { return "NVRTC_ERROR_COMPILATION"; }

const std::map<std::string, void *> functions = {
    {"nvrtcVersion", (void *)version}, {"nvrtcCreateProgram", (void *)create}, {"nvrtcCompileProgram", (void *)compile},
    {"nvrtcDestroyProgram", (void *)destroy}, {"nvrtcGetCUBINSize", (void *)cubinSize}, {"nvrtcGetCUBIN", (void *)cubin},
    {"nvrtcGetProgramLogSize", (void *)logSize}, {"nvrtcGetProgramLog", (void *)log}, {"nvrtcGetErrorString", (void *)errorString}};
} // namespace

void *compilerSymbol(const std::string &name) {
  auto found = functions.find(name);
  return found == functions.end() ? nullptr : found->second;
}
} // namespace fake
