// x86-64 with AVX-512: a line is one register; 12 accumulators, weights broadcast from memory inside the multiply-add.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))), \
                             apply_to = function)
#define WIDTH 16
#define TILE_ROWS 12
#define FMA(a, b, c) __builtin_elementwise_fma((a), (b), (c))
#define ISA "avx512"
#define KERNELS fg_kernels_avx512
#include "kernels.inc"
#pragma clang attribute pop
#endif
