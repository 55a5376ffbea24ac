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
#define HEIGHT 256

template <int M> struct Share {
  static constexpr int rows = HEIGHT / M;
  /// 16-row fragments of a block that a warp has; warps are 2 x 4.
  static constexpr int fragments = M / 32;
  static constexpr int left = M * (DEPTH + PAD) > DEPTH * (M + PAD) ? M * (DEPTH + PAD) : DEPTH * (M + PAD);
  static constexpr int stage = rows * left + DEPTH * (TOKENS + PAD);
};

struct Walk {
  int k, end, step;
};

DEVICE void advance(const fg_grid_shared &a, Walk &walk) {
  walk.step += DEPTH;
  if (walk.step >= a.inMembers) {
    walk.step = 0;
    walk.k++;
  }
}

template <int M, bool transposed>
DEVICE void fetch(const fg_grid_shared &a, Walk &walk, bf16 *stage, int token, int width) {
  if (walk.k < walk.end) {
    int depth = smaller(DEPTH, a.inMembers - walk.step), chunks = depth / 8;
    for (int p = 0; p < Share<M>::rows; p++) {
      int block = a.block[walk.k * Share<M>::rows + p];
      if (block < 0) continue;
      const bf16 *w = (const bf16 *)a.w + (long long)block * a.blockSize + (long long)walk.step * a.stepStride;
      bf16 *left = stage + p * Share<M>::left;
      if (transposed)
        for (int i = threadIdx.x; i < depth * (M / 8); i += 256) {
          int j = i / (M / 8), m = i % (M / 8) * 8;
          copyAsync(left + j * (M + PAD) + m, w + (long long)j * a.stepStride + m);
        }
      else
        for (int i = threadIdx.x; i < M * chunks; i += 256) {
          int m = i / chunks, j = i % chunks * 8;
          copyAsync(left + m * (DEPTH + PAD) + j, w + (long long)m * a.rowStride + j);
        }
    }
    const bf16 *x = (const bf16 *)a.x + ((long long)a.neighbour[walk.k] * a.inGroup + walk.step) * a.pitch + token;
    bf16 *right = stage + Share<M>::rows * Share<M>::left;
    int pieces = width / 8;
    for (int i = threadIdx.x; i < depth * pieces; i += 256) {
      int j = i / pieces, t = i % pieces * 8;
      copyAsync(right + j * (TOKENS + PAD) + t, x + (long long)j * a.pitch + t);
    }
    advance(a, walk);
  }
  commitCopies();
}

template <int M, bool transposed> DEVICE void sharedTile(const fg_grid_shared &a, bf16 *ring, int tile, int token) {
  typedef Share<M> S;
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warpRow = warp / 4, warpColumn = warp % 4;
  int width = smaller(TOKENS, a.pitch - token);
  Walk ahead = {a.start[tile], a.start[tile + 1], 0}, here = ahead;
  float sum[S::rows * S::fragments][4][4] = {};
  for (int s = 0; s < a.stages - 1; s++) fetch<M, transposed>(a, ahead, ring + s * S::stage, token, width);
  int slot = 0, free = a.stages - 1;
  while (here.k < here.end) {
    unsigned present = a.present[here.k];
    if (a.stages == 3) waitCopies<1>(); else waitCopies<0>();
    __syncthreads();
    // Every warp has left the slot that is filled now: it was read before the barrier.
    fetch<M, transposed>(a, ahead, ring + free * S::stage, token, width);
    const bf16 *left = ring + slot * S::stage, *right = left + S::rows * S::left;
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
          int row = (warpRow * S::fragments + f) * 16;
          const bf16 *block = left + p * S::left;
          unsigned w[4];
          if (transposed) loadTransposed(w, columnsA(block + j * (M + PAD) + row, M + PAD, lane));
          else loadMatrices(w, rowsA(block + row * (DEPTH + PAD) + j, DEPTH + PAD, lane));
#pragma unroll
          for (int n = 0; n < 2; n++) {
            multiplyAdd(sum[p * S::fragments + f][2 * n], w, x[n][0], x[n][1]);
            multiplyAdd(sum[p * S::fragments + f][2 * n + 1], w, x[n][2], x[n][3]);
          }
        }
      }
    }
    advance(a, here);
    slot = slot + 1 == a.stages ? 0 : slot + 1;
    free = free + 1 == a.stages ? 0 : free + 1;
  }
  waitCopies<0>();
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
          pair old = {0.0f, 0.0f};
          if (a.accumulate) old = load2(y);
          float *c = sum[p * S::fragments + f][n];
          store2(y, old.first + c[2 * half], old.second + c[2 * half + 1]);
        }
  }
}

/// Draws tiles until there are none: token tiles outermost, so that those in flight share their columns of x in the cache.
template <int M, bool transposed> DEVICE void sharedProduct(const fg_grid_shared &a) {
  DYNAMIC_SHARED(bf16, ring);
  SHARED int drawn;
  int tiles = a.tiles * ((a.pitch + TOKENS - 1) / TOKENS);
  while (true) {
    if (threadIdx.x == 0) drawn = atomicAdd(a.counter, 1);
    __syncthreads();
    int tile = drawn;
    __syncthreads();
    if (tile >= tiles) return;
    sharedTile<M, transposed>(a, ring, tile % a.tiles, tile / a.tiles * TOKENS);
  }
}

KERNEL(grid_tensor_shared_32, 256, fg_grid_shared) { sharedProduct<32, false>(a); }
KERNEL(grid_tensor_shared_64, 256, fg_grid_shared) { sharedProduct<64, false>(a); }
KERNEL(grid_tensor_shared_128, 256, fg_grid_shared) { sharedProduct<128, false>(a); }
KERNEL(grid_tensor_shared_transposed_32, 256, fg_grid_shared) { sharedProduct<32, true>(a); }
KERNEL(grid_tensor_shared_transposed_64, 256, fg_grid_shared) { sharedProduct<64, true>(a); }
KERNEL(grid_tensor_shared_transposed_128, 256, fg_grid_shared) { sharedProduct<128, true>(a); }
#endif
