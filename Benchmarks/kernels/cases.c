// The inner loops of Sources/CKernels alone, on operands that lie as the device's do: no Swift, no threads, no allocation.
// Compiled together with the kernels of one instruction set, of this tree or of an earlier one, into a library that turns.c
// drives; all libraries are given the same memory, for where an operand lies can matter more than the code.
#include "cases.h"

#include "CKernels.h"
#include <string.h>

extern const fg_kernels KERNELS;

enum {
  INPUTS = 768, OUTPUTS = 3072, PANELS = 16,  // a matrix of the 162M Mistral, 256 tokens
  ROWS = 96,                                  // of one task
  STEPS = 256,                                // of one piece of a long sum
  SIDE = 32, BLOCKS = 8, FEW_BLOCKS = 2,      // blocks, and how many one row of 24 has: density 1/3 and 1/12
  COLUMNS = 192, SPARSE_ROWS = 512,           // one tile of compressed rows
  PER_ROW = 19,                               // density 0.1
  MOST_PANELS = 4,                            // of compressed rows at once; some instruction sets take two
  MATRICES = 32                               // 300 MB of them: none is in a cache when it is met again
};

static float *x, *y, *packedDense, *packedBlocks, *packedFew, *target, *lines, *sums, *values, *gradients, *matrices, *sink, *before;
static int32_t column[SPARSE_ROWS * PER_ROW], start[SPARSE_ROWS + 1], row[SPARSE_ROWS], blockColumn[BLOCKS];

static uint64_t state = 1;
static uint32_t draw(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(state >> 33);
}

static fg_product denseProduct(void) {
  fg_product a = {0};
  a.w = matrices;
  a.wRow = INPUTS;
  a.wStep = 1;
  a.x = x;
  a.xPanel = INPUTS * FG_LINE;
  a.xStep = FG_LINE;
  a.y = y;
  a.yPanel = OUTPUTS * FG_LINE;
  a.yRow = FG_LINE;
  a.panels = PANELS;
  a.rows = ROWS;
  a.segments = 1;
  a.length = STEPS;
  a.columns = FG_LINE;
  return a;
}

static fg_product packed(fg_product a, const float *w) {
  a.w = w;
  a.packed = 1;
  return a;
}

static fg_product blockProduct(int blocks) {
  fg_product a = denseProduct();
  a.wRow = SIDE;
  a.wSegment = SIDE * SIDE;
  a.rows = SIDE;
  a.length = SIDE;
  a.segments = blocks;
  a.xIndex = blockColumn;
  a.xSegment = SIDE * FG_LINE;
  return a;
}

static fg_spmm rowsProduct(void) {
  fg_spmm a = {0};
  a.row = row;
  a.start = start;
  a.column = column;
  a.value = values;
  a.end = SPARSE_ROWS;
  a.x = lines;
  a.y = sums;
  a.panels = KERNELS.rowPanels;
  return a;
}

static fg_sddmm sampledProduct(void) {
  fg_sddmm a = {0};
  a.row = row;
  a.start = start;
  a.column = column;
  a.value = gradients;
  a.end = SPARSE_ROWS;
  a.dy = y;
  a.dyPanel = OUTPUTS * FG_LINE;
  a.x = lines;
  a.panels = KERNELS.rowPanels;
  return a;
}

// --- what is timed: each returns the operations, or the bytes, that one call does -----------------------------------------

static double multiplied(fg_product a) {
  KERNELS.multiply(&a);
  return 2.0 * a.rows * a.panels * a.segments * a.length * FG_LINE;
}

static double tileNear(void) {
  fg_product a = packed(denseProduct(), packedDense);
  a.rows = KERNELS.tileRows;
  a.xPanel = 0;
  a.yPanel = 0;
  return multiplied(a);
}

static double dense(void) {
  fg_product a = packed(denseProduct(), packedDense);
  a.accumulate = 1;
  return multiplied(a);
}

static double manyBlocks(void) { return multiplied(packed(blockProduct(BLOCKS), packedBlocks)); }
static double fewBlocks(void) { return multiplied(packed(blockProduct(FEW_BLOCKS), packedFew)); }

static double compressed(void) {
  fg_spmm a = rowsProduct();
  KERNELS.spmm(&a);
  return 2.0 * SPARSE_ROWS * PER_ROW * KERNELS.rowPanels * FG_LINE;
}

static double sampled(void) {
  fg_sddmm a = sampledProduct();
  KERNELS.sddmm(&a);
  return 2.0 * SPARSE_ROWS * PER_ROW * KERNELS.rowPanels * FG_LINE;
}

// The weights of one task after another, from memory: forward they lie row by row, transposed step by step.
static double packFrom(int transposed) {
  static size_t turn;
  enum { ACROSS = INPUTS / STEPS, DOWN = OUTPUTS / ROWS };
  const size_t place = turn++ % (ACROSS * DOWN), matrix = turn / (ACROSS * DOWN) % MATRICES;
  fg_product a = denseProduct();
  a.w = matrices + matrix * INPUTS * OUTPUTS;
  if (transposed) {
    // Rows of the tile are columns of the matrix.
    a.w += place / (INPUTS / ROWS) * STEPS * INPUTS + place % (INPUTS / ROWS) * ROWS;
    a.wRow = 1;
    a.wStep = INPUTS;
  } else {
    a.w += place / ACROSS * ROWS * INPUTS + place % ACROSS * STEPS;
  }
  KERNELS.pack(&a, target);
  return 4.0 * ROWS * STEPS;
}
static double packForward(void) { return packFrom(0); }
static double packTransposed(void) { return packFrom(1); }

static double registers(void) {
  static double perRound;
  KERNELS.fmaPeak(2000, sink, &perRound);
  return 2000 * perRound;
}

static const filigree_case all[] = {
    {"multiply-adds on registers alone", 0, registers},
    {"a packed tile of 256 steps, all in the first-level cache", 0, tileNear},
    {"dense: 96 rows, 256 steps, 16 panels, added to", 0, dense},
    {"blocks of 32, 8 a row, packed", 0, manyBlocks},
    {"blocks of 32, 2 a row, packed", 0, fewBlocks},
    {"compressed rows: 192 columns, 19 weights a row, all panels at once", 0, compressed},
    {"sampled product of the same rows", 0, sampled},
    {"packing from memory, row by row", 1, packForward},
    {"packing from memory, step by step", 1, packTransposed},
};
const int filigree_case_count = sizeof all / sizeof *all;
const filigree_case *filigree_cases = all;
const char *filigree_isa(void) { return KERNELS.isa; }

// What each operand has of the memory, whole pages.
static struct { float **operand; size_t count; } shares[] = {
    {&x, (size_t)INPUTS * PANELS * FG_LINE},
    {&y, (size_t)OUTPUTS * PANELS * FG_LINE},
    {&before, (size_t)OUTPUTS * PANELS * FG_LINE},
    {&packedDense, ROWS * STEPS},
    {&packedBlocks, BLOCKS * SIDE * SIDE},
    {&packedFew, FEW_BLOCKS * SIDE * SIDE},
    {&target, ROWS * STEPS},
    {&lines, COLUMNS * MOST_PANELS * FG_LINE},
    {&sums, SPARSE_ROWS * MOST_PANELS * FG_LINE},
    {&values, SPARSE_ROWS * PER_ROW},
    {&gradients, SPARSE_ROWS * PER_ROW},
    {&sink, 1024},
    {&matrices, (size_t)MATRICES * INPUTS * OUTPUTS},
};
enum { SHARES = sizeof shares / sizeof *shares, PAGE_FLOATS = 1024 };

static size_t pages(size_t count) { return (count + PAGE_FLOATS - 1) / PAGE_FLOATS * PAGE_FLOATS; }

size_t filigree_floats(void) {
  size_t sum = 0;
  for (int i = 0; i < SHARES; i++) sum += pages(shares[i].count);
  return sum;
}

void filigree_prepare(float *memory) {
  state = 1;
  for (int i = 0; i < SHARES; i++) {
    *shares[i].operand = memory;
    for (size_t k = 0; k < shares[i].count; k++) memory[k] = (float)(draw() & 0xffff) / 0x8000 - 1;
    memory += pages(shares[i].count);
  }
  for (int r = 0; r < SPARSE_ROWS; r++) {
    row[r] = r;
    start[r] = r * PER_ROW;
    // Ascending columns, drawn: one of every COLUMNS / PER_ROW.
    for (int k = 0; k < PER_ROW; k++)
      column[r * PER_ROW + k] = (int32_t)(k * (COLUMNS / PER_ROW) + draw() % (COLUMNS / PER_ROW));
  }
  start[SPARSE_ROWS] = SPARSE_ROWS * PER_ROW;
  for (int b = 0; b < BLOCKS; b++) blockColumn[b] = (int32_t)(b * 3 + draw() % 3);
  const fg_product a = denseProduct(), b = blockProduct(BLOCKS), c = blockProduct(FEW_BLOCKS);
  KERNELS.pack(&a, packedDense);
  KERNELS.pack(&b, packedBlocks);
  KERNELS.pack(&c, packedFew);
}

// --- the same by the definition, in double --------------------------------------------------------------------------------

// |sum| of `terms` rounded products of sizes that add up to `size` errs by no more (Higham 2002, section 3.1).
static double bound(double terms, double size) {
  const double u = 0x1p-24;
  return terms * u / (1 - terms * u) * size;
}

static double magnitude(double a) { return a < 0 ? -a : a; }

static int nearProduct(const fg_product *a, const float *w, const float *before) {
  for (ptrdiff_t p = 0; p < a->panels; p++)
    for (ptrdiff_t r = 0; r < a->rows; r++)
      for (int t = 0; t < FG_LINE; t++) {
        const ptrdiff_t place = p * a->yPanel + r * a->yRow + t;
        double sum = before ? before[place] : 0, size = magnitude(sum);
        for (ptrdiff_t s = 0; s < a->segments; s++)
          for (ptrdiff_t k = 0; k < a->length; k++) {
            const double term = (double)w[s * a->wSegment + r * a->wRow + k] *
                                a->x[p * a->xPanel + (a->xIndex ? a->xIndex[s] : s) * a->xSegment + k * a->xStep + t];
            sum += term;
            size += magnitude(term);
          }
        if (!(magnitude(a->y[place] - sum) <= bound((double)(a->segments * a->length + 2), size))) return 0;
      }
  return 1;
}

static int nearRows(void) {
  const int group = KERNELS.rowPanels;
  compressed();
  int near = 1;
  for (int r = 0; r < SPARSE_ROWS; r++)
    for (int i = 0; i < group * FG_LINE; i++) {
      double sum = 0, size = 0;
      for (int k = r * PER_ROW; k < (r + 1) * PER_ROW; k++) {
        const double term = (double)values[k] * lines[column[k] * group * FG_LINE + i];
        sum += term;
        size += magnitude(term);
      }
      near &= magnitude(sums[r * group * FG_LINE + i] - sum) <= bound(PER_ROW + 2, size);
    }
  return near;
}

static int nearSampled(void) {
  const int group = KERNELS.rowPanels;
  memcpy(before, gradients, sizeof(float) * SPARSE_ROWS * PER_ROW);
  sampled();
  int near = 1;
  for (int r = 0; r < SPARSE_ROWS; r++)
    for (int k = r * PER_ROW; k < (r + 1) * PER_ROW; k++) {
      double sum = before[k], size = magnitude(sum);
      for (int p = 0; p < group; p++)
        for (int t = 0; t < FG_LINE; t++) {
          const double term =
              (double)y[(p * OUTPUTS + r) * FG_LINE + t] * lines[(column[k] * group + p) * FG_LINE + t];
          sum += term;
          size += magnitude(term);
        }
      near &= magnitude(gradients[k] - sum) <= bound(group * FG_LINE + 2, size);
    }
  return near;
}

const char *filigree_wrong(void) {
  fg_product given = denseProduct(), a = packed(given, packedDense);
  KERNELS.multiply(&a);
  if (!nearProduct(&a, matrices, 0)) return "the dense product";
  const size_t count = (size_t)OUTPUTS * PANELS * FG_LINE;
  memcpy(before, y, count * sizeof(float));
  a.accumulate = 1;
  KERNELS.multiply(&a);
  if (!nearProduct(&a, matrices, before)) return "the dense product that is added to";
  // Packed from the transpose, the same tile.
  given.wRow = 1;
  given.wStep = INPUTS;
  KERNELS.pack(&given, target);
  for (ptrdiff_t k = 0; k < STEPS; k++) {
    for (ptrdiff_t r = 0; r < ROWS; r++) {
      const ptrdiff_t tiles = (ROWS + KERNELS.tileRows - 1) / KERNELS.tileRows, rows = ROWS / tiles;
      if (target[r / rows * rows * STEPS + k * rows + r % rows] != matrices[k * INPUTS + r])
        return "the transposed packing";
    }
  }
  for (int few = 0; few < 2; few++) {
    const fg_product b = packed(blockProduct(few ? FEW_BLOCKS : BLOCKS), few ? packedFew : packedBlocks);
    KERNELS.multiply(&b);
    if (!nearProduct(&b, matrices, 0)) return "the product of blocks";
  }
  if (!nearRows()) return "the product of compressed rows";
  if (!nearSampled()) return "the sampled product";
  return 0;
}
