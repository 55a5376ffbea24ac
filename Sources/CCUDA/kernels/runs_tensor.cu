// Products of a pattern whose rows hold at most two of every four gathered columns, on sparse tensor cores (mma.sp, sm_80 and
// up): y = W x, and dx = W' dy where the transpose keeps to such a rule too.
//
// Four columns are a chunk: neighbours (2:4), or those that a group of rows shares in a run (V:N:M), whose lines of x are then
// gathered. A block takes M rows, which lie in one group, and 128 tokens, and walks 64 gathered columns at a time through a ring
// of tiles that asynchronous copies fill. Beyond the last line stand zeros, and so do the second weights of rows that hold one.
// The bound is the cache: a chunk costs 4 M bytes of weights, M / 2 of choices and 1024 of x for 2 M 2 128 flops.
#include "tensor.cuh"

#ifdef ELEMENT_BF16
#define TOKENS 128
#define DEPTH 64
#define PAD 8
#define KEPT (DEPTH / 2)

template <int M> struct Place {
  static constexpr int rows = M >= 32 ? 2 : 1;
  static constexpr int columns = 8 / rows;
  static constexpr int fragments = M / rows / 16;
  static constexpr int tokens = TOKENS / columns;
  static constexpr int left = M * (KEPT + PAD);
  /// 16 words for each 16 rows and 32 columns, two elements a word.
  static constexpr int choice = M / 16 * (DEPTH / 32) * 32;
  static constexpr int stage = left + choice + DEPTH * (TOKENS + PAD);
};

template <int M> DEVICE void fetch(const fg_runs &a, const int *line, bf16 *stage, int first, int step, int token, int width) {
  if (step < a.depth) {
    const bf16 *w = (const bf16 *)a.value + (long long)first * (a.depth / 2) + step / 2;
    for (int i = threadIdx.x; i < M * (KEPT / 8); i += 256) {
      int m = i / (KEPT / 8), j = i % (KEPT / 8) * 8;
      copyAsync(stage + m * (KEPT + PAD) + j, w + (long long)m * (a.depth / 2) + j);
    }
    const unsigned *choice = a.choice + ((long long)(first / 16) * (a.depth / 32) + step / 32) * 16;
    for (int i = threadIdx.x; i < M / 16 * (DEPTH / 8); i += 256) {
      int m = i / (DEPTH / 8), j = i % (DEPTH / 8) * 4;
      copyAsync(stage + Place<M>::left + (m * (DEPTH / 2) + j) * 2, choice + (long long)m * (a.depth / 2) + j);
    }
    bf16 *right = stage + Place<M>::left + Place<M>::choice;
    int pieces = width / 8;
    for (int i = threadIdx.x; i < DEPTH * pieces; i += 256) {
      int j = i / pieces, t = i % pieces * 8, at = step + j;
      bf16 *target = right + j * (TOKENS + PAD) + t;
      if (at < a.lines) copyAsync(target, (const bf16 *)a.x + (long long)(line ? line[at] : at) * a.pitch + token + t);
      else *(uint4 *)target = make_uint4(0, 0, 0, 0);
    }
  }
  commitCopies();
}

template <int M> DEVICE void runsTile(const fg_runs &a, bf16 *ring, int first, int token) {
  typedef Place<M> P;
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warpRow = warp / P::columns, warpColumn = warp % P::columns;
  int width = smaller(TOKENS, a.pitch - token);
  const int *line = a.line ? a.line + (long long)(first / a.group) * a.lines : 0;
  float sum[P::fragments][P::tokens / 8][4] = {};
  int ahead = 0;
  auto next = [&](bf16 *stage) {
    fetch<M>(a, line, stage, first, ahead, token, width);
    ahead += DEPTH;
  };
  throughRing(ring, P::stage, a.stages, a.depth / DEPTH, next, [&](const bf16 *left) {
    const bf16 *right = left + P::left + P::choice;
    const unsigned *choice = (const unsigned *)(left + P::left);
#pragma unroll
    for (int j = 0; j < DEPTH; j += 32) {
      unsigned w[P::fragments][4], chosen[P::fragments];
#pragma unroll
      for (int f = 0; f < P::fragments; f++) {
        int row = (warpRow * P::fragments + f) * 16;
        loadMatrices(w[f], rowsA(left + row * (KEPT + PAD) + j / 2, KEPT + PAD, lane));
        // Lanes 4 g and 4 g + 1 give the choices of rows g and g + 8; those of the others are not looked at.
        chosen[f] = choice[row / 16 * (DEPTH / 2) + j / 2 + (lane >> 2) * 2 + (lane & 1)];
      }
#pragma unroll
      for (int n = 0; n < P::tokens / 16; n++) {
        unsigned x[4], more[4];
        const bf16 *tile = right + j * (TOKENS + PAD) + warpColumn * P::tokens + n * 16;
        loadTransposed(x, rowsB(tile, TOKENS + PAD, lane));
        loadTransposed(more, rowsB(tile + 16 * (TOKENS + PAD), TOKENS + PAD, lane));
#pragma unroll
        for (int f = 0; f < P::fragments; f++) {
          multiplyAddChosen(sum[f][2 * n], w[f], x[0], x[1], more[0], more[1], chosen[f]);
          multiplyAddChosen(sum[f][2 * n + 1], w[f], x[2], x[3], more[2], more[3], chosen[f]);
        }
      }
    }
  });
#pragma unroll
  for (int f = 0; f < P::fragments; f++)
#pragma unroll
    for (int n = 0; n < P::tokens / 8; n++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        int row = first + (warpRow * P::fragments + f) * 16 + half * 8 + lane / 4;
        int t = warpColumn * P::tokens + n * 8 + lane % 4 * 2;
        if (t >= width || row >= a.rows) continue;
        bf16 *y = (bf16 *)a.y + (long long)row * a.pitch + token + t;
        put2(y, a.accumulate, sum[f][n][2 * half], sum[f][n][2 * half + 1]);
      }
}

/// Rows innermost: blocks in flight share their columns of x in the cache.
template <int M> DEVICE void runsProduct(const fg_runs &a) {
  DYNAMIC_SHARED(bf16, ring);
  int tiles = (a.rows + M - 1) / M;
  runsTile<M>(a, ring, blockIdx.x % tiles * M, blockIdx.x / tiles * TOKENS);
}

KERNEL(runs_tensor_16, 256, fg_runs) { runsProduct<16>(a); }
KERNEL(runs_tensor_32, 256, fg_runs) { runsProduct<32>(a); }
KERNEL(runs_tensor_64, 256, fg_runs) { runsProduct<64>(a); }
KERNEL(runs_tensor_128, 256, fg_runs) { runsProduct<128>(a); }
KERNEL(runs_tensor_256, 256, fg_runs) { runsProduct<256>(a); }
#endif
