#define _GNU_SOURCE
#include "CKernels.h"

#include <sched.h>

extern const fg_kernels fg_kernels_scalar;
#if defined(__x86_64__)
extern const fg_kernels fg_kernels_avx2, fg_kernels_avx512;
#elif defined(__aarch64__)
extern const fg_kernels fg_kernels_neon;
#endif

static int same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

const fg_kernels *fg_kernels_named(const char *isa) {
  if (same(isa, "scalar")) return &fg_kernels_scalar;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (same(isa, "avx2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &fg_kernels_avx2;
  if (same(isa, "avx512") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
    return &fg_kernels_avx512;
#elif defined(__aarch64__)
  if (same(isa, "neon")) return &fg_kernels_neon;
#endif
  return 0;
}

int32_t fg_cores(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}
