// x86-64 with AVX2 and FMA: 12 accumulators of 8 floats, 2 of activations, 1 of weights.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define WIDTH 8
#define TILE_ROWS 6
#define FMA(a, b, c) __builtin_elementwise_fma((a), (b), (c))
#define ISA "avx2"
#define KERNELS fg_kernels_avx2
#include "kernels.inc"
#pragma clang attribute pop
#endif
