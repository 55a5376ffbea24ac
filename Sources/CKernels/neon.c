// 64-bit ARM: 24 accumulators of 4 floats, 4 of activations, 1 of weights, of 32 registers.
#if defined(__aarch64__)
#define WIDTH 4
#define TILE_ROWS 6
#define FMA(a, b, c) __builtin_elementwise_fma((a), (b), (c))
#define ISA "neon"
#define KERNELS fg_kernels_neon
#include "kernels.inc"
#endif
