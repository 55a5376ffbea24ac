// Tensor-core steps: ldmatrix, mma.sync.m16n8k16, mma.sp.m16n8k32 and asynchronous copies of 16 bytes (sm_80 and up).
//
// A fragment's place (PTX ISA, "Matrix Fragments for mma.m16n8k16"): with g = lane / 4 and p = 2 (lane % 4),
//   a[0..3] = (g, p), (g + 8, p), (g, p + 8), (g + 8, p + 8) of A [16, 16], two neighbours along k in a register;
//   b[0..1] = (p, g), (p + 8, g) of B [16, 8], two along k;   c[0..3] = (g, p), (g, p + 1), (g + 8, p), (g + 8, p + 1).
//
// Of a sparse A [16, 32] (mma.sp.m16n8k32) a row holds two of every four, and a[0..3] lie as above in the matrix [16, 16] of what
// it holds; b[0..3] = (p, g), (p + 8, g), (p + 16, g), (p + 24, g). Lanes 4 g + h, h = 0, 1, say which two those are, in columns
// 16 h ..< 16 (h + 1): two bits a number and ascending in each four, row g in the low half of the word and row g + 8 in the high.
#ifndef FILIGREE_TENSOR
#define FILIGREE_TENSOR
#include "element.cuh"

#ifndef FILIGREE_HOST
/// Four 8 x 8 matrices of 16-bit numbers; lane i gives the address of row i % 8 of matrix i / 8.
DEVICE void loadMatrices(unsigned (&r)[4], const bf16 *row) {
  unsigned at = (unsigned)__cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
}
/// The same, each matrix transposed.
DEVICE void loadTransposed(unsigned (&r)[4], const bf16 *row) {
  unsigned at = (unsigned)__cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
}
/// c += a b
DEVICE void multiplyAdd(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
/// c += a b with a sparse a [16, 32]
DEVICE void multiplyAddChosen(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, unsigned b2, unsigned b3, unsigned chosen) {
  asm volatile("mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.bf16.bf16.f32 "
               "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9,%10,%11}, {%0,%1,%2,%3}, %12, 0x0;"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(b2), "r"(b3), "r"(chosen));
}
DEVICE void copyAsync(void *shared, const void *global) {
  unsigned at = (unsigned)__cvta_generic_to_shared(shared);
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(global) : "memory");
}
DEVICE void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits until at most `pending` groups of this thread are on their way.
template <int pending> DEVICE void waitCopies() { asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory"); }
#endif

/// Lane's row for `loadMatrices` of A [16, 16] stored by rows of `stride` elements.
DEVICE const bf16 *rowsA(const bf16 *tile, int stride, int lane) { return tile + (lane & 15) * stride + (lane >> 4) * 8; }
/// Lane's row for `loadTransposed` of A [16, 16] stored by columns (k outermost).
DEVICE const bf16 *columnsA(const bf16 *tile, int stride, int lane) {
  return tile + ((lane >> 4) * 8 + (lane & 7)) * stride + (lane >> 3 & 1) * 8;
}
/// Lane's row for `loadTransposed` of two B [16, 8] side by side, stored with k outermost: r[0..1] the first, r[2..3] the second.
DEVICE const bf16 *rowsB(const bf16 *tile, int stride, int lane) {
  return tile + ((lane >> 3 & 1) * 8 + (lane & 7)) * stride + (lane >> 4) * 8;
}
/// Lane's row for `loadMatrices` of two B [16, 8] side by side, stored with n outermost.
DEVICE const bf16 *columnsB(const bf16 *tile, int stride, int lane) {
  return tile + ((lane >> 4) * 8 + (lane & 7)) * stride + (lane >> 3 & 1) * 8;
}

/// A walk over `steps` tiles through a ring of `stages` slots of `stage` elements: `fetch(slot)` starts the copies of the next tile
/// and closes their group, also when there is none left; `multiply(slot)` has the oldest tile.
template <typename Fetch, typename Multiply>
DEVICE void throughRing(bf16 *ring, int stage, int stages, int steps, const Fetch &fetch, const Multiply &multiply) {
  for (int s = 0; s < stages - 1; s++) fetch(ring + s * stage);
  int slot = 0, free = stages - 1;
  for (int step = 0; step < steps; step++) {
    if (stages == 3) waitCopies<1>(); else waitCopies<0>();
    __syncthreads();
    // Every warp has left the slot that is filled now: it was read before the barrier.
    fetch(ring + free * stage);
    multiply(ring + slot * stage);
    slot = slot + 1 == stages ? 0 : slot + 1;
    free = free + 1 == stages ? 0 : free + 1;
  }
  waitCopies<0>();
}

/// A walk over the blocks k ..< end, each in pieces of `depth` of its members.
struct Walk {
  int k, end, step;
  DEVICE_MEMBER int steps(int depth, int members) const { return (end - k) * ((members + depth - 1) / depth); }
  DEVICE_MEMBER void advance(int depth, int members) {
    step += depth;
    if (step < members) return;
    step = 0;
    k++;
  }
};

/// Blocks draw the numbers below `tiles` from a counter until there are none; every thread of a block has the same.
template <typename Body> DEVICE void drawTiles(int *counter, int tiles, const Body &body) {
  SHARED int drawn;
  while (true) {
    if (threadIdx.x == 0) drawn = atomicAdd(counter, 1);
    __syncthreads();
    int tile = drawn;
    __syncthreads();
    if (tile >= tiles) return;
    body(tile);
  }
}

/// Two neighbours of a result, replaced or added to.
template <typename Number> DEVICE void put2(Number *y, bool accumulate, float first, float second) {
  pair old = {0.0f, 0.0f};
  if (accumulate) old = load2(y);
  store2(y, old.first + first, old.second + second);
}

/// A tile of the first `depth` steps of `rows` rows of W; transposed, where they lie side by side and steps are lines.
template <bool transposed>
DEVICE void copyWeights(bf16 *tile, int stride, const bf16 *w, int rows, int depth, int rowStride, int stepStride) {
  int pieces = (transposed ? rows : depth) / 8, lines = transposed ? depth : rows, leading = transposed ? stepStride : rowStride;
  for (int i = threadIdx.x; i < lines * pieces; i += 256) {
    int line = i / pieces, at = i % pieces * 8;
    copyAsync(tile + line * stride + at, w + (long long)line * leading + at);
  }
}

/// A tile of `lines` lines, `width` tokens of each.
DEVICE void copyLines(bf16 *tile, int stride, const bf16 *x, int pitch, int lines, int width) {
  int pieces = width / 8;
  for (int i = threadIdx.x; i < lines * pieces; i += 256) {
    int line = i / pieces, t = i % pieces * 8;
    copyAsync(tile + line * stride + t, x + (long long)line * pitch + t);
  }
}

/// 16 rows and 16 steps of such a tile of W as A.
template <bool transposed> DEVICE void loadWeights(unsigned (&w)[4], const bf16 *tile, int stride, int row, int step, int lane) {
  if (transposed) loadTransposed(w, columnsA(tile + step * stride + row, stride, lane));
  else loadMatrices(w, rowsA(tile + row * stride + step, stride, lane));
}

/// Share `part` of `splits` of the tokens, in whole steps of `depth` and as evenly as they go.
struct Tokens {
  int first, steps;
};
DEVICE Tokens shareOfTokens(int pitch, int depth, int part, int splits) {
  long long chunks = pitch / depth;
  int first = (int)(chunks * part / splits), end = (int)(chunks * (part + 1) / splits);
  Tokens share = {first * depth, end - first};
  return share;
}

/// sum[i][j] += the sum over 16 tokens of left[i][t] right[j][t]: lines of `stride` elements, 16 `fragments` of the left and the
/// first `count` of `width` of the right, count a multiple of 16.
template <int fragments, int width>
DEVICE void multiplyLines(float (&sum)[fragments][width / 8][4], const bf16 *left, const bf16 *right, int stride, int count, int lane) {
  unsigned d[fragments][4];
#pragma unroll
  for (int f = 0; f < fragments; f++) loadMatrices(d[f], rowsA(left + f * 16 * stride, stride, lane));
#pragma unroll
  for (int n = 0; n < width / 16; n++) {
    if (n * 16 >= count) break;
    unsigned b[4];
    loadMatrices(b, columnsB(right + n * 16 * stride, stride, lane));
#pragma unroll
    for (int f = 0; f < fragments; f++) {
      multiplyAdd(sum[f][2 * n], d[f], b[0], b[1]);
      multiplyAdd(sum[f][2 * n + 1], d[f], b[2], b[3]);
    }
  }
}

/// The numbers of a fragment c [16, 8 eights] that begins at (row, column), two neighbours at a time: body(row, column, first, second).
template <int eights, typename Body>
DEVICE void eachPair(const float (&sum)[eights][4], int row, int column, int lane, const Body &body) {
#pragma unroll
  for (int n = 0; n < eights; n++)
#pragma unroll
    for (int half = 0; half < 2; half++)
      body(row + half * 8 + lane / 4, column + n * 8 + lane % 4 * 2, sum[n][2 * half], sum[n][2 * half + 1]);
}
/// The same for such fragments one below the other.
template <int fragments, int eights, typename Body>
DEVICE void eachPair(const float (&sum)[fragments][eights][4], int row, int column, int lane, const Body &body) {
#pragma unroll
  for (int f = 0; f < fragments; f++) eachPair(sum[f], row + f * 16, column, lane, body);
}
#endif
