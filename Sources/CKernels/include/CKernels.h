// The inner loops. A "line" is 16 consecutive floats: one feature of 16 tokens. A "panel" is [features][16], contiguous.
// Nothing here allocates, starts a thread or keeps state; every pointer is valid and every index in range because the
// caller has checked it. The letters are those of docs/Notation.md.
#ifndef FILIGREE_CKERNELS_H
#define FILIGREE_CKERNELS_H

#include <stddef.h>
#include <stdint.h>

enum { FG_LINE = 16 };

// One register-tiled product, for every panel p and row r:
//
//     y[p][r][0..16) (+)= sum over s < segments, k < length of  w[p][s][r][k] * x[p][s][k][0..16)
//
// where w[p][s][r][k] = w[p*wPanel + ws*wSegment + r*wRow + k*wStep], ws = wIndex ? wIndex[s] : s, likewise for x, and
// y[p][r] = y + p*yPanel + r*yRow. Only the first `columns` (<= 16) floats of a row of y are read or written.
//
// `packed` weights are what `pack` made of the others, segment after segment: the rows of a register tile together for each
// step. wIndex, wSegment, wRow and wStep have no say then.
//
// `past` writes y past the caches: for results that are too large to be met there again. Not with `accumulate`; y, yPanel
// and yRow are whole lines. Whoever asks for it calls fg_finish_past before anybody is told that the results are there.
//
// Either wRow or wStep is 1.
typedef struct fg_product {
  const float *w;
  const int32_t *wIndex;
  ptrdiff_t wPanel, wSegment, wRow, wStep;
  const float *x;
  const int32_t *xIndex;
  ptrdiff_t xPanel, xSegment, xStep;
  float *y;
  ptrdiff_t yPanel, yRow;
  ptrdiff_t panels, rows, segments, length;
  int32_t columns;
  int32_t accumulate;
  int32_t packed;
  int32_t past;
} fg_product;

// Entries begin ..< end of a pattern for 1 to rowPanels panels; entry e is the weights start[e] ..< start[e + 1] of row
// row[e]:
//
//     y[row[e]][p] (+)= sum over k in start[e] ..< start[e + 1] of value[k] * x[column[k]][p]
//
// x is what `gatherLines` made of as many panels; its pointer is that of column 0, whether or not column 0 was gathered.
// The sums lie as the lines of x do, all panels of a row side by side.
typedef struct fg_spmm {
  const int32_t *row, *start, *column;
  const float *value;
  ptrdiff_t begin, end;
  const float *x;
  float *y;
  int32_t panels;
  int32_t accumulate;
} fg_spmm;

// The sampled product of the same pattern: value[k] += sum over p, t of dy[p][row[e]][t] * x[column[k]][p][t].
typedef struct fg_sddmm {
  const int32_t *row, *start, *column;
  float *value;
  ptrdiff_t begin, end;
  const float *dy;
  ptrdiff_t dyPanel;
  const float *x;
  int32_t panels;
} fg_sddmm;

// A pattern in row order and its operands for few tokens: `lanes` (1, 4 or 8) numbers for every row and column.
typedef struct fg_few {
  const int32_t *start, *column;
  float *value;
  ptrdiff_t begin, end;
  float *x, *y;
  int32_t lanes;
} fg_few;

// One AdamW step on `count` numbers (Loshchilov and Hutter 2019, in PyTorch's order of operations).
typedef struct fg_adamw {
  float *value, *first, *second;
  const float *gradient;
  ptrdiff_t count;
  float gradientScale, keep;        // keep = 1 - rate * weightDecay
  float beta1, beta2, epsilon;
  float step, rootCorrection;       // rate / (1 - beta1^n), sqrt(1 - beta2^n)
} fg_adamw;

// The keys that a line of scores covers: lane t (query position + t) sees keys in (position + t - window, position + t].
typedef struct fg_visible {
  int32_t firstKey, keys, position, window;
} fg_visible;

typedef struct fg_kernels {
  const char *isa;
  // Rows of the register tile: a caller that splits rows does best in multiples of it.
  int32_t tileRows;
  // Panels that a register tile of `multiply` takes at once.
  int32_t tilePanels;
  // The most panels that `spmm` and `sddmm` take at once.
  int32_t rowPanels;
#define KERNEL(name, parameters) void(*name) parameters;
#include "kernels.def"
#undef KERNEL
} fg_kernels;

// The kernels of an instruction set ("scalar", "avx2", "avx512", "neon"), or NULL where this machine lacks it.
const fg_kernels *fg_kernels_named(const char *isa);

// Cores that this process may use.
int32_t fg_cores(void);

// Waits for this thread's stores past the caches, which wait for no other.
static inline void fg_finish_past(void) {
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#else
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

// Tells the core that this thread waits in a loop.
static inline void fg_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

#endif
