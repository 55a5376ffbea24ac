// Products of any grid: any block size, any stride of the groups, on ordinary multiply-adds. Tiles of 64 x 64 numbers, 16 steps
// at a time; a thread sums its 4 x 4 numbers in the order of the blocks and steps, so the result never depends on scheduling.
// Arithmetic is the bound: 2 multiply-adds a stored weight and token against the chip's fp32 peak.
#include "element.cuh"

#define TILE 64
#define STEP 16

#ifdef ELEMENT_BF16
typedef bf16 weight;
#else
typedef float weight;
#endif

/// Adds left [TILE rows, STEP] times right [STEP, TILE columns] to a thread's 4 x 4 numbers.
DEVICE void addTile(float (&sum)[4][4], float (*left)[STEP + 1], float (*right)[TILE + 4]) {
  int row = threadIdx.x / 16 * 4, column = threadIdx.x % 16 * 4;
  for (int k = 0; k < STEP; k++) {
    float l[4], r[4];
#pragma unroll
    for (int i = 0; i < 4; i++) l[i] = left[row + i][k];
#pragma unroll
    for (int i = 0; i < 4; i++) r[i] = right[k][column + i];
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int j = 0; j < 4; j++) sum[i][j] += l[i] * r[j];
  }
}

/// Forward and, with the transposed pattern and strides, the input gradient; a block is TILE rows of a group x TILE tokens.
KERNEL(grid_multiply, 256, fg_grid) {
  SHARED float left[TILE][STEP + 1];
  SHARED float right[STEP][TILE + 4];
  int pieces = (a.outMembers + TILE - 1) / TILE, group = blockIdx.x / pieces, first = blockIdx.x % pieces * TILE;
  int token = blockIdx.y * TILE;
  float sum[4][4] = {};
  for (int k = a.start[group]; k < a.start[group + 1]; k++) {
    const weight *w = (const weight *)a.w + (long long)(a.block ? a.block[k] : k) * a.blockSize;
    const element *x = (const element *)a.x + (long long)a.neighbour[k] * a.inGroup * a.pitch + token;
    for (int step = 0; step < a.inMembers; step += STEP) {
      for (int i = threadIdx.x; i < TILE * STEP; i += 256) {
        int row = i / STEP, j = i % STEP;
        bool inside = first + row < a.outMembers && step + j < a.inMembers;
        left[row][j] = inside ? toFloat(w[(long long)(first + row) * a.rowStride + (long long)(step + j) * a.stepStride]) : 0.0f;
      }
      for (int i = threadIdx.x; i < TILE * STEP; i += 256) {
        int j = i / TILE, t = i % TILE;
        right[j][t] = step + j < a.inMembers ? toFloat(x[(long long)(step + j) * a.inStride * a.pitch + t]) : 0.0f;
      }
      __syncthreads();
      addTile(sum, left, right);
      __syncthreads();
    }
  }
  int row = threadIdx.x / 16 * 4, column = threadIdx.x % 16 * 4;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if (first + row + i >= a.outMembers) break;
    long long feature = (long long)group * a.outGroup + (long long)(first + row + i) * a.outStride;
    element *y = (element *)a.y + feature * a.pitch + token + column;
#pragma unroll
    for (int j = 0; j < 4; j++) y[j] = toElement(sum[i][j] + (a.accumulate ? toFloat(y[j]) : 0.0f));
  }
}

/// A block is TILE x TILE values of one block of the grid; it alone sums over all tokens.
KERNEL(grid_gradient, 256, fg_grid_gradient) {
  SHARED float left[TILE][STEP + 1];
  SHARED float right[STEP][TILE + 4];
  int down = (a.outMembers + TILE - 1) / TILE, across = (a.inMembers + TILE - 1) / TILE;
  int k = blockIdx.x / (down * across), first = blockIdx.x / across % down * TILE, second = blockIdx.x % across * TILE;
  const element *dy = (const element *)a.dy + ((long long)a.row[k] * a.outGroup + (long long)first * a.outStride) * a.pitch;
  const element *x = (const element *)a.x + ((long long)a.column[k] * a.inGroup + (long long)second * a.inStride) * a.pitch;
  float sum[4][4] = {};
  for (int token = 0; token < a.pitch; token += STEP) {
    for (int i = threadIdx.x; i < TILE * STEP; i += 256) {
      int member = i / STEP, t = i % STEP;
      left[member][t] = first + member < a.outMembers ? toFloat(dy[(long long)member * a.outStride * a.pitch + token + t]) : 0.0f;
      right[t][member] = second + member < a.inMembers ? toFloat(x[(long long)member * a.inStride * a.pitch + token + t]) : 0.0f;
    }
    __syncthreads();
    addTile(sum, left, right);
    __syncthreads();
  }
  int row = first + threadIdx.x / 16 * 4, column = second + threadIdx.x % 16 * 4;
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 4; j++)
      if (row + i < a.outMembers && column + j < a.inMembers)
        a.dvalues[((long long)k * a.outMembers + row + i) * a.inMembers + column + j] += sum[i][j];
}
