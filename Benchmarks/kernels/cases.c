// The inner loops of Sources/CKernels alone, each on operands as the device gives them: no Swift, no threads, no allocation
// while the clock runs. Compiled together with the kernels of one instruction set, of this tree or of an earlier one,
// into a library that turns.c drives.
#include "cases.h"

#include "CKernels.h"
#include <stdlib.h>
#include <string.h>

extern const fg_kernels KERNELS;

enum {
  INPUTS = 768, OUTPUTS = 3072, PANELS = 16,  // a matrix of the 162M Mistral, 256 tokens
  ROWS = 96,                                  // of one task
  STEPS = 256,                                // of one piece of a long sum
  SIDE = 32, BLOCKS = 8,                      // blocks, and how many one row of 24 has
  COLUMNS = 192, SPARSE_ROWS = 512,           // one tile of compressed rows
  PER_ROW = 19,                               // density 0.1
  MOST_PANELS = 4,                            // of compressed rows at once; some instruction sets take two
  MATRICES = 32                               // 300 MB of them: none is in a cache when it is met again
};

static float *x, *y, *weights, *packedDense, *packedBlocks, *target, *lines, *sums, *values, *matrices;
static int32_t *column, *start, *row, *blockColumn;

static uint64_t state = 1;
static uint32_t draw(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(state >> 33);
}

static float *numbers(size_t count) {
  enum { LARGE_PAGE = 1 << 21 };
  float *a = aligned_alloc(LARGE_PAGE, (count * sizeof(float) + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE);
  if (!a) abort();
  for (size_t i = 0; i < count; i++) a[i] = (float)(draw() & 0xffff) / 0x8000 - 1;
  return a;
}

static fg_product denseProduct(void) {
  fg_product a = {0};
  a.w = weights;
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

static fg_product blockProduct(void) {
  fg_product a = denseProduct();
  a.wRow = SIDE;
  a.wSegment = SIDE * SIDE;
  a.rows = SIDE;
  a.length = SIDE;
  a.segments = BLOCKS;
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
  a.accumulate = 1;
  return a;
}

static fg_sddmm sampledProduct(void) {
  fg_sddmm a = {0};
  a.row = row;
  a.start = start;
  a.column = column;
  a.value = values;
  a.end = SPARSE_ROWS;
  a.dy = y;
  a.dyPanel = OUTPUTS * FG_LINE;
  a.x = lines;
  a.panels = KERNELS.rowPanels;
  return a;
}

// --- what is timed: each returns the operations, or the bytes, that one call does -----------------------------------------

static double tileNear(void) {
  fg_product a = packed(denseProduct(), packedDense);
  a.rows = KERNELS.tileRows;
  a.xPanel = 0;
  a.yPanel = 0;
  KERNELS.multiply(&a);
  return 2.0 * a.rows * a.panels * a.length * FG_LINE;
}

static double dense(void) {
  fg_product a = packed(denseProduct(), packedDense);
  a.accumulate = 1;
  KERNELS.multiply(&a);
  return 2.0 * a.rows * a.panels * a.length * FG_LINE;
}

static double blocks(void) {
  fg_product a = packed(blockProduct(), packedBlocks);
  KERNELS.multiply(&a);
  return 2.0 * a.rows * a.panels * a.segments * a.length * FG_LINE;
}

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

// A task's weights from memory: forward they lie row by row, transposed step by step.
static double packFrom(int transposed) {
  static int turn;
  fg_product a = denseProduct();
  a.w = matrices + (size_t)(turn++ % MATRICES) * INPUTS * OUTPUTS;
  if (transposed) {
    a.wRow = 1;
    a.wStep = INPUTS;
  }
  KERNELS.pack(&a, target);
  return 4.0 * ROWS * STEPS;
}
static double packForward(void) { return packFrom(0); }
static double packTransposed(void) { return packFrom(1); }

static double registers(void) {
  static double perRound;
  KERNELS.fmaPeak(2000, sums, &perRound);
  return 2000 * perRound;
}

static const filigree_case all[] = {
    {"multiply-adds on registers alone", 0, registers},
    {"a packed tile of 256 steps, all in the first-level cache", 0, tileNear},
    {"dense: 96 rows, 256 steps, 16 panels, added to", 0, dense},
    {"blocks of 32, 8 a row, packed", 0, blocks},
    {"compressed rows: 192 columns, 19 weights a row, all panels at once", 0, compressed},
    {"sampled product of the same rows", 0, sampled},
    {"packing from memory, row by row", 1, packForward},
    {"packing from memory, step by step", 1, packTransposed},
};
const int filigree_case_count = sizeof all / sizeof *all;
const filigree_case *filigree_cases = all;
const char *filigree_isa(void) { return KERNELS.isa; }

void filigree_prepare(void) {
  x = numbers((size_t)INPUTS * PANELS * FG_LINE);
  y = numbers((size_t)OUTPUTS * PANELS * FG_LINE);
  weights = numbers((size_t)INPUTS * OUTPUTS);
  packedDense = numbers((size_t)ROWS * STEPS);
  packedBlocks = numbers((size_t)BLOCKS * SIDE * SIDE);
  target = numbers((size_t)ROWS * STEPS);
  lines = numbers((size_t)COLUMNS * MOST_PANELS * FG_LINE);
  sums = numbers((size_t)SPARSE_ROWS * MOST_PANELS * FG_LINE);
  values = numbers((size_t)SPARSE_ROWS * PER_ROW);
  matrices = numbers((size_t)MATRICES * INPUTS * OUTPUTS);
  column = malloc(sizeof(int32_t) * SPARSE_ROWS * PER_ROW);
  start = malloc(sizeof(int32_t) * (SPARSE_ROWS + 1));
  row = malloc(sizeof(int32_t) * SPARSE_ROWS);
  blockColumn = malloc(sizeof(int32_t) * BLOCKS);
  if (!column || !start || !row || !blockColumn) abort();
  for (int r = 0; r < SPARSE_ROWS; r++) {
    row[r] = r;
    start[r] = r * PER_ROW;
    // Ascending columns, drawn: one of every COLUMNS / PER_ROW.
    for (int k = 0; k < PER_ROW; k++)
      column[r * PER_ROW + k] = (int32_t)(k * (COLUMNS / PER_ROW) + draw() % (COLUMNS / PER_ROW));
  }
  start[SPARSE_ROWS] = SPARSE_ROWS * PER_ROW;
  for (int b = 0; b < BLOCKS; b++) blockColumn[b] = (int32_t)(b * 3 + draw() % 3);
  const fg_product a = denseProduct(), b = blockProduct();
  KERNELS.pack(&a, packedDense);
  KERNELS.pack(&b, packedBlocks);
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
  const size_t count = (size_t)SPARSE_ROWS * group * FG_LINE;
  float *before = malloc(count * sizeof(float));
  if (!before) abort();
  memcpy(before, sums, count * sizeof(float));
  compressed();
  int near = 1;
  for (int r = 0; r < SPARSE_ROWS; r++)
    for (int i = 0; i < group * FG_LINE; i++) {
      double sum = before[r * group * FG_LINE + i], size = magnitude(sum);
      for (int k = r * PER_ROW; k < (r + 1) * PER_ROW; k++) {
        const double term = (double)values[k] * lines[column[k] * group * FG_LINE + i];
        sum += term;
        size += magnitude(term);
      }
      near &= magnitude(sums[r * group * FG_LINE + i] - sum) <= bound(PER_ROW + 2, size);
    }
  memcpy(sums, before, count * sizeof(float));
  free(before);
  return near;
}

static int nearSampled(void) {
  const int group = KERNELS.rowPanels;
  float before[SPARSE_ROWS * PER_ROW];
  memcpy(before, values, sizeof before);
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
      near &= magnitude(values[k] - sum) <= bound(group * FG_LINE + 2, size);
    }
  memcpy(values, before, sizeof before);
  return near;
}

const char *filigree_wrong(void) {
  fg_product given = denseProduct(), a = packed(given, packedDense);
  KERNELS.multiply(&a);
  if (!nearProduct(&a, weights, 0)) return "the dense product";
  const size_t count = (size_t)OUTPUTS * PANELS * FG_LINE;
  float *before = malloc(count * sizeof(float));
  if (!before) abort();
  memcpy(before, y, count * sizeof(float));
  a.accumulate = 1;
  KERNELS.multiply(&a);
  const int added = nearProduct(&a, weights, before);
  free(before);
  if (!added) return "the dense product that is added to";
  // Packed from the transpose, the same tile.
  given.wRow = 1;
  given.wStep = INPUTS;
  KERNELS.pack(&given, target);
  for (ptrdiff_t k = 0; k < STEPS; k++) {
    for (ptrdiff_t r = 0; r < ROWS; r++) {
      const ptrdiff_t tiles = (ROWS + KERNELS.tileRows - 1) / KERNELS.tileRows, rows = ROWS / tiles;
      if (ROWS % tiles != 0) return "the number of rows: no whole tiles";
      if (target[r / rows * rows * STEPS + k * rows + r % rows] != weights[k * INPUTS + r])
        return "the transposed packing";
    }
  }
  const fg_product b = packed(blockProduct(), packedBlocks);
  KERNELS.multiply(&b);
  if (!nearProduct(&b, weights, 0)) return "the product of blocks";
  if (!nearRows()) return "the product of compressed rows";
  if (!nearSampled()) return "the sampled product";
  return 0;
}
