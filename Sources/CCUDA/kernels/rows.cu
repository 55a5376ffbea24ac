// Products of an unstructured pattern. Feature-major activations make a weight one number times a line of x: a warp has one row
// and 256 tokens, eight a lane, and adds its weights in order. x comes from the cache: the bound is 2 bytes of cache traffic a
// multiply-add.
#include "element.cuh"

#define LINE 256

/// y[r] (+)= sum of value x[column]: forward, and with the transposed pattern the input gradient. y may have 64 tokens left over.
KERNEL(rows_multiply, 256, fg_rows) {
  int lane = threadIdx.x & 31, row = blockIdx.x * 8 + (threadIdx.x >> 5), token = blockIdx.y * LINE + lane * 2;
  if (row >= a.rows) return;
  const element *x = (const element *)a.x + token;
  element *y = (element *)a.y + (long long)row * a.pitch + token;
  float sum[8] = {};
  int pieces = smaller(4, (a.pitch - blockIdx.y * LINE) / 64);
  for (int k = a.start[row]; k < a.start[row + 1]; k++) {
    float value = a.value[a.source ? a.source[k] : k];
    const element *line = x + (long long)a.column[k] * a.pitch;
#pragma unroll
    for (int p = 0; p < 4; p++) {
      if (p >= pieces) break;
      pair v = load2(line + p * 64);
      sum[2 * p] += value * v.first;
      sum[2 * p + 1] += value * v.second;
    }
  }
#pragma unroll
  for (int p = 0; p < 4; p++) {
    if (p >= pieces) break;
    pair old = {0.0f, 0.0f};
    if (a.accumulate) old = load2(y + p * 64);
    store2(y + p * 64, old.first + sum[2 * p], old.second + sum[2 * p + 1]);
  }
}

/// dvalue[k] += sum over t of dy[r][t] x[column[k]][t]: a block has a row, a warp every eighth of its weights, the lanes the
/// tokens; the lanes' sums are added as a butterfly.
KERNEL(rows_gradient, 256, fg_rows) {
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, row = blockIdx.x;
  const element *dy = (const element *)a.dy + (long long)row * a.pitch;
  for (int k = a.start[row] + warp; k < a.start[row + 1]; k += 8) {
    const element *x = (const element *)a.x + (long long)a.column[k] * a.pitch;
    float first = 0.0f, second = 0.0f;
    for (int t = 2 * lane; t < a.pitch; t += 64) {
      pair d = load2(dy + t), v = load2(x + t);
      first += d.first * v.first;
      second += d.second * v.second;
    }
    float sum = warpSum(first + second);
    if (lane == 0) a.dvalue[k] += sum;
  }
}
