// Block-sparse products on tensor cores, for contiguous groups whose sides are multiples of 16: y = W x and dx = W' dy.
//
// A block takes M rows of one block row and 128 tokens, and walks the row's blocks 64 steps at a time through a ring of tiles
// that asynchronous copies fill. Blocks are persistent: they draw tiles, longest rows first, from a counter, so a long row does
// not leave the chip idle. Which block computes a tile is left to chance, how it sums is not: one accumulator a number, in the
// order of the blocks and steps. The bound is arithmetic while M tokens' worth of W and 128 columns of x come from the cache:
// 2 M 128 flops for 2 (M + 128) bytes a step.
#include "tensor.cuh"

#ifdef ELEMENT_BF16
#define TOKENS 128
#define DEPTH 64
#define PAD 8
#define WEIGHT_STRIDE ((transposed ? M : DEPTH) + PAD)

/// Where the warps of a block lie: ROWS x COLUMNS of them, 16 FRAGMENTS rows and TOKENS / COLUMNS tokens each.
template <int M> struct Shape {
  static constexpr int rows = M >= 64 ? 2 : M >= 32 ? 2 : 1;
  static constexpr int columns = 8 / rows;
  static constexpr int fragments = M / rows / 16;
  static constexpr int tokens = TOKENS / columns;
  // W's tile is [M, DEPTH] as stored, or [DEPTH, M] where the product is transposed.
  static constexpr int left = M * (DEPTH + PAD) > DEPTH * (M + PAD) ? M * (DEPTH + PAD) : DEPTH * (M + PAD);
  static constexpr int stage = left + DEPTH * (TOKENS + PAD);
};

template <int M, bool transposed>
DEVICE void fetch(const fg_grid &a, Walk &walk, bf16 *stage, int first, int token, int width) {
  if (walk.k < walk.end) {
    int depth = smaller(DEPTH, a.inMembers - walk.step);
    const bf16 *w = (const bf16 *)a.w + (long long)(a.block ? a.block[walk.k] : walk.k) * a.blockSize;
    w += (long long)walk.step * a.stepStride + (long long)first * a.rowStride;
    copyWeights<transposed>(stage, WEIGHT_STRIDE, w, M, depth, a.rowStride, a.stepStride);
    const bf16 *x = (const bf16 *)a.x + ((long long)a.neighbour[walk.k] * a.inGroup + walk.step) * a.pitch + token;
    copyLines(stage + Shape<M>::left, TOKENS + PAD, x, a.pitch, depth, width);
    walk.advance(DEPTH, a.inMembers);
  }
  commitCopies();
}

template <int M, bool transposed> DEVICE void gridTile(const fg_grid &a, bf16 *ring, int group, int first, int token) {
  typedef Shape<M> S;
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warpRow = warp / S::columns, warpColumn = warp % S::columns;
  int width = smaller(TOKENS, a.pitch - token);
  Walk ahead = {a.start[group], a.start[group + 1], 0}, here = ahead;
  float sum[S::fragments][S::tokens / 8][4] = {};
  auto next = [&](bf16 *stage) { fetch<M, transposed>(a, ahead, stage, first, token, width); };
  throughRing(ring, S::stage, a.stages, here.steps(DEPTH, a.inMembers), next, [&](const bf16 *left) {
    const bf16 *right = left + S::left;
    int depth = smaller(DEPTH, a.inMembers - here.step);
    for (int j = 0; j < depth; j += 16) {
      unsigned w[S::fragments][4];
#pragma unroll
      for (int f = 0; f < S::fragments; f++)
        loadWeights<transposed>(w[f], left, WEIGHT_STRIDE, (warpRow * S::fragments + f) * 16, j, lane);
#pragma unroll
      for (int n = 0; n < S::tokens / 16; n++) {
        unsigned x[4];
        loadTransposed(x, rowsB(right + j * (TOKENS + PAD) + warpColumn * S::tokens + n * 16, TOKENS + PAD, lane));
#pragma unroll
        for (int f = 0; f < S::fragments; f++) {
          multiplyAdd(sum[f][2 * n], w[f], x[0], x[1]);
          multiplyAdd(sum[f][2 * n + 1], w[f], x[2], x[3]);
        }
      }
    }
    here.advance(DEPTH, a.inMembers);
  });
  __syncthreads();
#pragma unroll
  for (int f = 0; f < S::fragments; f++)
#pragma unroll
    for (int n = 0; n < S::tokens / 8; n++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        int row = first + (warpRow * S::fragments + f) * 16 + half * 8 + lane / 4;
        int t = warpColumn * S::tokens + n * 8 + lane % 4 * 2;
        if (t >= width) continue;
        bf16 *y = (bf16 *)a.y + ((long long)group * a.outGroup + row) * a.pitch + token + t;
        put2(y, a.accumulate, sum[f][n][2 * half], sum[f][n][2 * half + 1]);
      }
}

/// Draws tiles until there are none: token tiles outermost, so that those in flight share their columns of x in the cache.
template <int M, bool transposed> DEVICE void gridProduct(const fg_grid &a) {
  DYNAMIC_SHARED(bf16, ring);
  int pieces = a.outMembers / M, perToken = a.rows * pieces, tiles = perToken * ((a.pitch + TOKENS - 1) / TOKENS);
  drawTiles(a.counter, tiles, [&](int tile) {
    int within = tile % perToken;
    gridTile<M, transposed>(a, ring, a.order[within / pieces], within % pieces * M, tile / perToken * TOKENS);
  });
}

KERNEL(grid_tensor_16, 256, fg_grid) { gridProduct<16, false>(a); }
KERNEL(grid_tensor_32, 256, fg_grid) { gridProduct<32, false>(a); }
KERNEL(grid_tensor_64, 256, fg_grid) { gridProduct<64, false>(a); }
KERNEL(grid_tensor_128, 256, fg_grid) { gridProduct<128, false>(a); }
KERNEL(grid_tensor_transposed_16, 256, fg_grid) { gridProduct<16, true>(a); }
KERNEL(grid_tensor_transposed_32, 256, fg_grid) { gridProduct<32, true>(a); }
KERNEL(grid_tensor_transposed_64, 256, fg_grid) { gridProduct<64, true>(a); }
KERNEL(grid_tensor_transposed_128, 256, fg_grid) { gridProduct<128, true>(a); }
#endif
