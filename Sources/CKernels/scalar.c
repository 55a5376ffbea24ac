// Any machine: what the compiler makes of four-float vectors without flags (SSE2 on x86-64).
#define WIDTH 4
#define TILE_ROWS 3
#define FMA(a, b, c) ((a) * (b) + (c))
#define ISA "scalar"
#define KERNELS fg_kernels_scalar
#include "kernels.inc"
