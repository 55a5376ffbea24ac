// dvalues[k] += dy[row] x[column]' on tensor cores, for contiguous groups whose sides are multiples of 16.
//
// A block takes S x S values of one block of the grid and a share of the tokens, 64 at a time through a ring of tiles. With few
// blocks in the grid the tokens are cut into `splits` shares, whose sums are added in order by a second kernel (add_partials).
// Small tiles share their steps among the warps and add up in the warps' order. Always the same order: the same bits.
#include "tensor.cuh"

#ifdef ELEMENT_BF16
#define DEPTH 64
#define STRIDE (DEPTH + 8)

template <int S> struct Split {
  static constexpr int rows = S >= 32 ? 2 : 1;
  static constexpr int columns = S >= 64 ? 4 : S >= 32 ? 2 : 1;
  /// Warps that share the steps.
  static constexpr int steps = 8 / (rows * columns) > 4 ? 4 : 8 / (rows * columns);
  static constexpr int fragments = S / rows / 16;
  static constexpr int width = S / columns;
  static constexpr int stage = 2 * S * STRIDE;
};

template <int S> DEVICE void fetch(const bf16 *dy, const bf16 *x, int pitch, int token, int end, bf16 *stage) {
  if (token < end)
    for (int i = threadIdx.x; i < S * (DEPTH / 8); i += 256) {
      int member = i / (DEPTH / 8), t = i % (DEPTH / 8) * 8;
      copyAsync(stage + member * STRIDE + t, dy + (long long)member * pitch + token + t);
      copyAsync(stage + (S + member) * STRIDE + t, x + (long long)member * pitch + token + t);
    }
  commitCopies();
}

template <int S> DEVICE void gridGradient(const fg_grid_gradient &a) {
  typedef Split<S> P;
  DYNAMIC_SHARED(bf16, ring);
  int down = a.outMembers / S, across = a.inMembers / S, k = blockIdx.x / (down * across);
  int first = blockIdx.x / across % down * S, second = blockIdx.x % across * S, part = blockIdx.y;
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  int share = warp / (P::rows * P::columns), place = warp % (P::rows * P::columns);
  int warpRow = place / P::columns, warpColumn = place % P::columns;
  Tokens tokens = shareOfTokens(a.pitch, DEPTH, part, a.splits);
  int ahead = tokens.first, end = ahead + tokens.steps * DEPTH;
  const bf16 *dy = (const bf16 *)a.dy + ((long long)a.row[k] * a.outGroup + first) * a.pitch;
  const bf16 *x = (const bf16 *)a.x + ((long long)a.column[k] * a.inGroup + second) * a.pitch;
  float sum[P::fragments][P::width / 8][4] = {};
  auto next = [&](bf16 *stage) {
    fetch<S>(dy, x, a.pitch, ahead, end, stage);
    ahead += DEPTH;
  };
  throughRing(ring, P::stage, a.stages, tokens.steps, next, [&](const bf16 *left) {
    const bf16 *rows = left + warpRow * P::fragments * 16 * STRIDE, *columns = left + (S + warpColumn * P::width) * STRIDE;
    for (int j = share * 16; j < DEPTH && share < P::steps; j += P::steps * 16)
      multiplyLines<P::fragments, P::width>(sum, rows + j, columns + j, STRIDE, P::width, lane);
  });
  __syncthreads();
  // The shares are joined in shared memory, one after another.
  float *total = (float *)ring;
  for (int turn = 0; turn < P::steps; turn++) {
    if (share == turn)
      eachPair(sum, warpRow * P::fragments * 16, warpColumn * P::width, lane, [&](int row, int column, float first, float second) {
        put2(total + row * (S + 4) + column, turn > 0, first, second);
      });
    __syncthreads();
  }
  long long base = ((long long)k * a.outMembers + first) * a.inMembers + second;
  for (int i = threadIdx.x; i < S * S; i += 256) {
    long long at = base + (long long)(i / S) * a.inMembers + i % S;
    float value = total[i / S * (S + 4) + i % S];
    if (a.splits == 1) a.dvalues[at] += value;
    else a.partial[(long long)part * a.blocks * a.outMembers * a.inMembers + at] = value;
  }
}

KERNEL(grid_tensor_gradient_16, 256, fg_grid_gradient) { gridGradient<16>(a); }
KERNEL(grid_tensor_gradient_32, 256, fg_grid_gradient) { gridGradient<32>(a); }
KERNEL(grid_tensor_gradient_64, 256, fg_grid_gradient) { gridGradient<64>(a); }
KERNEL(grid_tensor_gradient_128, 256, fg_grid_gradient) { gridGradient<128>(a); }
#endif
