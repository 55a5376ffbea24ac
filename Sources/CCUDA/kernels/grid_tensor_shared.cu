// Block-sparse products as in grid_tensor.cu, by tiles that share their columns of x between several rows of the grid: blocks of
// 32, 64 or 128 rows, 256 / M of them in a tile, and 128 tokens.
//
// A tile walks the columns that any of its rows has; a column of x is copied once and multiplied with each block there. The warps
// divide a block's rows and the tokens, not the rows of the grid, so that all of them have the same work whatever is absent. Tiles
// are drawn as in grid_tensor.cu, most blocks first. One accumulator a number, in the order of the columns and steps.
// The bound is the cache: e (M blocks + 128 columns met) a step for 2 M 128 flops a block.
#include "tensor.cuh"

#ifdef ELEMENT_BF16
#define TOKENS 128
#define DEPTH 64
#define PAD 8
#define WEIGHT_STRIDE ((transposed ? M : DEPTH) + PAD)
#define HEIGHT 256

template <int M> struct Share {
  static constexpr int rows = HEIGHT / M;
  /// 16-row fragments of a block that a warp has; warps are 2 x 4.
  static constexpr int fragments = M / 32;
  static constexpr int left = M * (DEPTH + PAD) > DEPTH * (M + PAD) ? M * (DEPTH + PAD) : DEPTH * (M + PAD);
  static constexpr int stage = rows * left + DEPTH * (TOKENS + PAD);
};

template <int M, bool transposed>
DEVICE void fetch(const fg_grid_shared &a, Walk &walk, bf16 *stage, int token, int width) {
  if (walk.k < walk.end) {
    int depth = smaller(DEPTH, a.inMembers - walk.step);
    for (int p = 0; p < Share<M>::rows; p++) {
      int block = a.block[walk.k * Share<M>::rows + p];
      if (block < 0) continue;
      const bf16 *w = (const bf16 *)a.w + (long long)block * a.blockSize + (long long)walk.step * a.stepStride;
      copyWeights<transposed>(stage + p * Share<M>::left, WEIGHT_STRIDE, w, M, depth, a.rowStride, a.stepStride);
    }
    const bf16 *x = (const bf16 *)a.x + ((long long)a.neighbour[walk.k] * a.inGroup + walk.step) * a.pitch + token;
    copyLines(stage + Share<M>::rows * Share<M>::left, TOKENS + PAD, x, a.pitch, depth, width);
    walk.advance(DEPTH, a.inMembers);
  }
  commitCopies();
}

template <int M, bool transposed> DEVICE void sharedTile(const fg_grid_shared &a, bf16 *ring, int tile, int token) {
  typedef Share<M> S;
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warpRow = warp / 4, warpColumn = warp % 4;
  int width = smaller(TOKENS, a.pitch - token);
  Walk ahead = {a.start[tile], a.start[tile + 1], 0}, here = ahead;
  float sum[S::rows * S::fragments][4][4] = {};
  auto next = [&](bf16 *stage) { fetch<M, transposed>(a, ahead, stage, token, width); };
  throughRing(ring, S::stage, a.stages, here.steps(DEPTH, a.inMembers), next, [&](const bf16 *left) {
    unsigned present = a.present[here.k];
    const bf16 *right = left + S::rows * S::left;
    int depth = smaller(DEPTH, a.inMembers - here.step);
    for (int j = 0; j < depth; j += 16) {
      unsigned x[2][4];
#pragma unroll
      for (int n = 0; n < 2; n++)
        loadTransposed(x[n], rowsB(right + j * (TOKENS + PAD) + warpColumn * 32 + n * 16, TOKENS + PAD, lane));
#pragma unroll
      for (int p = 0; p < S::rows; p++) {
        if (!(present >> p & 1)) continue;
#pragma unroll
        for (int f = 0; f < S::fragments; f++) {
          unsigned w[4];
          loadWeights<transposed>(w, left + p * S::left, WEIGHT_STRIDE, (warpRow * S::fragments + f) * 16, j, lane);
#pragma unroll
          for (int n = 0; n < 2; n++) {
            multiplyAdd(sum[p * S::fragments + f][2 * n], w, x[n][0], x[n][1]);
            multiplyAdd(sum[p * S::fragments + f][2 * n + 1], w, x[n][2], x[n][3]);
          }
        }
      }
    }
    here.advance(DEPTH, a.inMembers);
  });
  __syncthreads();
#pragma unroll
  for (int p = 0; p < S::rows; p++) {
    int group = a.row[tile * S::rows + p];
    if (group < 0) continue;
#pragma unroll
    for (int f = 0; f < S::fragments; f++)
#pragma unroll
      for (int n = 0; n < 4; n++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
          int row = (warpRow * S::fragments + f) * 16 + half * 8 + lane / 4, t = warpColumn * 32 + n * 8 + lane % 4 * 2;
          if (t >= width) continue;
          bf16 *y = (bf16 *)a.y + ((long long)group * a.outGroup + row) * a.pitch + token + t;
          float *c = sum[p * S::fragments + f][n];
          put2(y, a.accumulate, c[2 * half], c[2 * half + 1]);
        }
  }
}

/// Draws tiles until there are none: token tiles outermost, so that those in flight share their columns of x in the cache.
template <int M, bool transposed> DEVICE void sharedProduct(const fg_grid_shared &a) {
  DYNAMIC_SHARED(bf16, ring);
  int tiles = a.tiles * ((a.pitch + TOKENS - 1) / TOKENS);
  drawTiles(a.counter, tiles, [&](int tile) {
    sharedTile<M, transposed>(a, ring, tile % a.tiles, tile / a.tiles * TOKENS);
  });
}

KERNEL(grid_tensor_shared_32, 256, fg_grid_shared) { sharedProduct<32, false>(a); }
KERNEL(grid_tensor_shared_64, 256, fg_grid_shared) { sharedProduct<64, false>(a); }
KERNEL(grid_tensor_shared_128, 256, fg_grid_shared) { sharedProduct<128, false>(a); }
KERNEL(grid_tensor_shared_transposed_32, 256, fg_grid_shared) { sharedProduct<32, true>(a); }
KERNEL(grid_tensor_shared_transposed_64, 256, fg_grid_shared) { sharedProduct<64, true>(a); }
KERNEL(grid_tensor_shared_transposed_128, 256, fg_grid_shared) { sharedProduct<128, true>(a); }
#endif
