// dvalue[k] += <dy[r], x[c]> for the weights of a pattern as in runs_tensor.cu: the product dy x' of M rows and 128 gathered
// columns on tensor cores, of which the live values alone are written.
//
// A block takes such a tile and a share of the tokens, 64 at a time through a ring of tiles. With few tiles the tokens are cut
// into `splits` shares, whose sums are added in order by a second kernel (add_partials). One writer a value: the same bits.
// Half of what is multiplied is thrown away. The bound is the cache: 2 (M + 128) bytes for 2 M 64 live flops a token.
#include "tensor.cuh"

#ifdef ELEMENT_BF16
#define DEPTH 64
#define STRIDE (DEPTH + 8)
#define COLUMNS 128

template <int M> struct Part {
  static constexpr int rows = M >= 32 ? 2 : 1;
  static constexpr int columns = 8 / rows;
  static constexpr int fragments = M / rows / 16;
  static constexpr int width = COLUMNS / columns;
  static constexpr int stage = (M + COLUMNS) * STRIDE;
};

template <int M>
DEVICE void fetch(const fg_runs &a, const int *line, bf16 *stage, int first, int second, int token, int end) {
  if (token < end)
    for (int i = threadIdx.x; i < (M + COLUMNS) * (DEPTH / 8); i += 256) {
      int member = i / (DEPTH / 8), t = i % (DEPTH / 8) * 8, row = first + member, at = second + member - M;
      bf16 *target = stage + member * STRIDE + t;
      bool left = member < M;
      if (left ? row >= a.rows : at >= a.lines) *(uint4 *)target = make_uint4(0, 0, 0, 0);
      else {
        const bf16 *source = left ? (const bf16 *)a.dy + (long long)row * a.pitch
                                  : (const bf16 *)a.x + (long long)(line ? line[at] : at) * a.pitch;
        copyAsync(target, source + token + t);
      }
    }
  commitCopies();
}

template <int M> DEVICE void runsGradient(const fg_runs &a) {
  typedef Part<M> P;
  DYNAMIC_SHARED(bf16, ring);
  int across = (a.lines + COLUMNS - 1) / COLUMNS, part = blockIdx.y;
  int first = blockIdx.x / across * M, second = blockIdx.x % across * COLUMNS;
  const int *line = a.line ? a.line + (long long)(first / a.group) * a.lines : 0;
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warpRow = warp / P::columns, warpColumn = warp % P::columns;
  Tokens tokens = shareOfTokens(a.pitch, DEPTH, part, a.splits);
  int ahead = tokens.first, end = ahead + tokens.steps * DEPTH;
  float sum[P::fragments][P::width / 8][4] = {};
  auto next = [&](bf16 *stage) {
    fetch<M>(a, line, stage, first, second, ahead, end);
    ahead += DEPTH;
  };
  throughRing(ring, P::stage, a.stages, tokens.steps, next, [&](const bf16 *left) {
    const bf16 *rows = left + warpRow * P::fragments * 16 * STRIDE, *columns = left + (M + warpColumn * P::width) * STRIDE;
#pragma unroll
    for (int j = 0; j < DEPTH; j += 16)
      multiplyLines<P::fragments, P::width>(sum, rows + j, columns + j, STRIDE, P::width, lane);
  });
  __syncthreads();
  float *total = (float *)ring;
  eachPair(sum, warpRow * P::fragments * 16, warpColumn * P::width, lane, [&](int row, int column, float one, float two) {
    put2(total + row * (COLUMNS + 4) + column, false, one, two);
  });
  __syncthreads();
  int kept = smaller(COLUMNS, a.lines - second) / 2;
  for (int i = threadIdx.x; i < M * kept; i += 256) {
    int row = i / kept, pick = i % kept, at = first + row;
    if (at >= a.rows) break;
    int k = a.place[(long long)at * (a.depth / 2) + second / 2 + pick];
    if (k < 0) continue;
    // The word of rows g and g + 8 and 16 columns; two bits a weight.
    unsigned word = a.choice[((long long)(at / 16) * (a.depth / 32) + (second + 2 * pick) / 32) * 16 + at % 8 * 2 + pick % 16 / 8];
    int chosen = word >> (at % 16 / 8 * 16 + pick % 8 * 2) & 3;
    float value = total[row * (COLUMNS + 4) + pick / 2 * 4 + chosen];
    if (a.splits == 1) a.dvalue[k] += value;
    else a.partial[(long long)part * a.count + k] = value;
  }
}

KERNEL(runs_tensor_gradient_16, 256, fg_runs) { runsGradient<16>(a); }
KERNEL(runs_tensor_gradient_32, 256, fg_runs) { runsGradient<32>(a); }
KERNEL(runs_tensor_gradient_64, 256, fg_runs) { runsGradient<64>(a); }
KERNEL(runs_tensor_gradient_128, 256, fg_runs) { runsGradient<128>(a); }
#endif
