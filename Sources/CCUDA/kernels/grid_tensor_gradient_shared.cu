// dvalues[k] += dy[row] x[column]' as in grid_tensor_gradient.cu, by tiles that share dy between several blocks of a row.
//
// A tile is S rows of dy and up to 256 / S pieces of S columns, all in blocks of one row of the grid, and a share of the tokens.
// The sums are in registers, one writer a value; with `splits` shares they go to `partial` and are added in order (add_partials).
// The bound is the cache: e S (1 + n) a token for 2 S^2 n flops, n pieces sharing.
#include "tensor.cuh"

#ifdef ELEMENT_BF16
#define DEPTH 64
#define STRIDE (DEPTH + 8)
#define WIDTH 256

template <int S> struct Bundle {
  static constexpr int rows = S >= 32 ? 2 : 1;
  static constexpr int columns = 8 / rows;
  static constexpr int fragments = S / rows / 16;
  static constexpr int width = WIDTH / columns;
  static constexpr int stage = (S + WIDTH) * STRIDE;
};

/// Pieces are numbered through the grid: piece i is of block i / across.
template <int S>
DEVICE void fetch(const fg_grid_gradient &a, const bf16 *dy, int piece, int count, bf16 *stage, int token, int end) {
  if (token < end) {
    int across = a.inMembers / S;
    for (int i = threadIdx.x; i < (1 + count) * S * (DEPTH / 8); i += 256) {
      int member = i / (DEPTH / 8), t = i % (DEPTH / 8) * 8;
      const bf16 *line;
      if (member < S) line = dy + (long long)member * a.pitch;
      else {
        int at = piece + member / S - 1;
        line = (const bf16 *)a.x + ((long long)a.column[at / across] * a.inGroup + at % across * S + member % S) * a.pitch;
      }
      copyAsync(stage + member * STRIDE + t, line + token + t);
    }
  }
  commitCopies();
}

template <int S> DEVICE void bundleGradient(const fg_grid_gradient &a) {
  typedef Bundle<S> P;
  DYNAMIC_SHARED(bf16, ring);
  int down = a.outMembers / S, across = a.inMembers / S, part = blockIdx.y;
  const int *bundle = a.bundle + blockIdx.x / down * 3;
  int first = blockIdx.x % down * S, piece = bundle[1], count = bundle[2];
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warpRow = warp / P::columns, warpColumn = warp % P::columns;
  // Whole steps of 64 tokens, as evenly as they go.
  int chunks = a.pitch / DEPTH, token = (int)((long long)chunks * part / a.splits) * DEPTH;
  int end = (int)((long long)chunks * (part + 1) / a.splits) * DEPTH, ahead = token;
  const bf16 *dy = (const bf16 *)a.dy + ((long long)bundle[0] * a.outGroup + first) * a.pitch;
  float sum[P::fragments][P::width / 8][4] = {};
  for (int s = 0; s < a.stages - 1; s++, ahead += DEPTH) fetch<S>(a, dy, piece, count, ring + s * P::stage, ahead, end);
  int slot = 0, free = a.stages - 1;
  for (; token < end; token += DEPTH, ahead += DEPTH) {
    if (a.stages == 3) waitCopies<1>(); else waitCopies<0>();
    __syncthreads();
    fetch<S>(a, dy, piece, count, ring + free * P::stage, ahead, end);
    const bf16 *left = ring + slot * P::stage, *right = left + S * STRIDE;
    for (int j = 0; j < DEPTH; j += 16) {
      unsigned d[P::fragments][4];
#pragma unroll
      for (int f = 0; f < P::fragments; f++)
        loadMatrices(d[f], rowsA(left + (warpRow * P::fragments + f) * 16 * STRIDE + j, STRIDE, lane));
#pragma unroll
      for (int n = 0; n < P::width / 16; n++) {
        int column = warpColumn * P::width + n * 16;
        if (column >= count * S) break;
        unsigned b[4];
        loadMatrices(b, columnsB(right + column * STRIDE + j, STRIDE, lane));
#pragma unroll
        for (int f = 0; f < P::fragments; f++) {
          multiplyAdd(sum[f][2 * n], d[f], b[0], b[1]);
          multiplyAdd(sum[f][2 * n + 1], d[f], b[2], b[3]);
        }
      }
    }
    slot = slot + 1 == a.stages ? 0 : slot + 1;
    free = free + 1 == a.stages ? 0 : free + 1;
  }
  waitCopies<0>();
  float *target = a.splits == 1 ? a.dvalues : a.partial + (long long)part * a.blocks * a.outMembers * a.inMembers;
#pragma unroll
  for (int n = 0; n < P::width / 8; n++) {
    int column = warpColumn * P::width + n * 8 + lane % 4 * 2, at = piece + column / S;
    if (column >= count * S) break;
#pragma unroll
    for (int f = 0; f < P::fragments; f++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        int row = first + (warpRow * P::fragments + f) * 16 + half * 8 + lane / 4;
        float *value = target + ((long long)(at / across) * a.outMembers + row) * a.inMembers + at % across * S + column % S;
        pair old = {0.0f, 0.0f};
        if (a.splits == 1) old = load2(value);
        store2(value, old.first + sum[f][n][2 * half], old.second + sum[f][n][2 * half + 1]);
      }
  }
}

KERNEL(grid_tensor_gradient_shared_16, 256, fg_grid_gradient) { bundleGradient<16>(a); }
KERNEL(grid_tensor_gradient_shared_32, 256, fg_grid_gradient) { bundleGradient<32>(a); }
KERNEL(grid_tensor_gradient_shared_64, 256, fg_grid_gradient) { bundleGradient<64>(a); }
KERNEL(grid_tensor_gradient_shared_128, 256, fg_grid_gradient) { bundleGradient<128>(a); }
#endif
