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
  Tokens tokens = shareOfTokens(a.pitch, DEPTH, part, a.splits);
  int ahead = tokens.first, end = ahead + tokens.steps * DEPTH;
  const bf16 *dy = (const bf16 *)a.dy + ((long long)bundle[0] * a.outGroup + first) * a.pitch;
  float sum[P::fragments][P::width / 8][4] = {};
  auto next = [&](bf16 *stage) {
    fetch<S>(a, dy, piece, count, stage, ahead, end);
    ahead += DEPTH;
  };
  throughRing(ring, P::stage, a.stages, tokens.steps, next, [&](const bf16 *left) {
    const bf16 *rows = left + warpRow * P::fragments * 16 * STRIDE, *columns = left + (S + warpColumn * P::width) * STRIDE;
    for (int j = 0; j < DEPTH; j += 16)
      multiplyLines<P::fragments, P::width>(sum, rows + j, columns + j, STRIDE, count * S - warpColumn * P::width, lane);
  });
  float *target = a.splits == 1 ? a.dvalues : a.partial + (long long)part * a.blocks * a.outMembers * a.inMembers;
  eachPair(sum, first + warpRow * P::fragments * 16, warpColumn * P::width, lane, [&](int row, int column, float one, float two) {
    if (column >= count * S) return;
    int at = piece + column / S;
    float *value = target + ((long long)(at / across) * a.outMembers + row) * a.inMembers + at % across * S + column % S;
    put2(value, a.splits == 1, one, two);
  });
}

KERNEL(grid_tensor_gradient_shared_16, 256, fg_grid_gradient) { bundleGradient<16>(a); }
KERNEL(grid_tensor_gradient_shared_32, 256, fg_grid_gradient) { bundleGradient<32>(a); }
KERNEL(grid_tensor_gradient_shared_64, 256, fg_grid_gradient) { bundleGradient<64>(a); }
KERNEL(grid_tensor_gradient_shared_128, 256, fg_grid_gradient) { bundleGradient<128>(a); }
#endif
