// Tiles of 64 tokens of one head, feature-major as they lie in memory, [D, 64], and the products attention makes of them.
#ifndef FILIGREE_ATTENTION_TILE
#define FILIGREE_ATTENTION_TILE
#include "tensor.cuh"

#ifdef ELEMENT_BF16
#define TILE 64
#define STRIDE (TILE + 8)

struct Block {
  int head, base, position;
};

DEVICE Block blockOf(const fg_attention &a) {
  int tiles = (a.sequence + TILE - 1) / TILE;
  Block b = {(int)blockIdx.y, (int)blockIdx.x / tiles * a.sequence, (int)blockIdx.x % tiles * TILE};
  return b;
}

DEVICE bool visible(const fg_attention &a, int query, int key) {
  return key <= query && key + a.window > query && query < a.sequence;
}

DEVICE int firstKey(const fg_attention &a, int query) { return larger(0, query - a.window + 1) / TILE * TILE; }

/// tile[d][i] = x[head][d][base + position + i], zeros beyond the sequence. Sequences are multiples of 16, so 8 tokens are inside
/// or outside together, and 16 bytes are aligned.
template <int D> DEVICE void loadTile(bf16 *tile, const void *x, const fg_attention &a, int head, int base, int position) {
  const bf16 *source = (const bf16 *)x + (long long)head * D * a.pitch + base + position;
  for (int i = threadIdx.x; i < D * (TILE / 8); i += blockDim.x) {
    int d = i / (TILE / 8), t = i % (TILE / 8) * 8;
    bf16 *target = tile + d * STRIDE + t;
    if (position + t < a.sequence) copyAsync(target, source + (long long)d * a.pitch + t);
    else *(uint4 *)target = make_uint4(0, 0, 0, 0);
  }
  commitCopies();
}

/// s[i][j] += sum over d of left[d][i] right[d][j]: 16 columns of `left` from its start, WIDTH of `right`.
template <int D, int WIDTH> DEVICE void productOfColumns(float (&s)[WIDTH / 8][4], const bf16 *left, const bf16 *right, int lane) {
#pragma unroll
  for (int d = 0; d < D; d += 16) {
    unsigned l[4];
    loadTransposed(l, columnsA(left + d * STRIDE, STRIDE, lane));
#pragma unroll
    for (int n = 0; n < WIDTH / 16; n++) {
      unsigned r[4];
      loadTransposed(r, rowsB(right + d * STRIDE + n * 16, STRIDE, lane));
      multiplyAdd(s[2 * n], l, r[0], r[1]);
      multiplyAdd(s[2 * n + 1], l, r[2], r[3]);
    }
  }
}
template <int D> DEVICE void productOfColumns(float (&s)[TILE / 8][4], const bf16 *left, const bf16 *right, int lane) {
  productOfColumns<D, TILE>(s, left, right, lane);
}

/// out[i][d] += sum over j < WIDTH of weight[i][j] x[d][j]; the weights, rounded to bf16, are where a product left them.
template <int D, int WIDTH>
DEVICE void addWeighted(float (&out)[D / 8][4], const float (&weight)[WIDTH / 8][4], const bf16 *x, int lane) {
#pragma unroll
  for (int j = 0; j < WIDTH / 16; j++) {
    unsigned w[4] = {pack(weight[2 * j][0], weight[2 * j][1]), pack(weight[2 * j][2], weight[2 * j][3]),
                     pack(weight[2 * j + 1][0], weight[2 * j + 1][1]), pack(weight[2 * j + 1][2], weight[2 * j + 1][3])};
#pragma unroll
    for (int n = 0; n < D / 16; n++) {
      unsigned b[4];
      loadMatrices(b, columnsB(x + n * 16 * STRIDE + j * 16, STRIDE, lane));
      multiplyAdd(out[2 * n], w, b[0], b[1]);
      multiplyAdd(out[2 * n + 1], w, b[2], b[3]);
    }
  }
}

/// y[head][d][base + position + i] = out[i][d], turned through `tile`, which everybody has left.
template <int D>
DEVICE void storeColumns(const float (&out)[D / 8][4], bf16 *tile, void *y, const fg_attention &a, int head, int base, int position) {
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  __syncthreads();
#pragma unroll
  for (int n = 0; n < D / 8; n++)
#pragma unroll
    for (int c = 0; c < 4; c++)
      tile[(n * 8 + lane % 4 * 2 + c % 2) * STRIDE + warp * 16 + c / 2 * 8 + lane / 4] = toBF16(out[n][c]);
  __syncthreads();
  bf16 *target = (bf16 *)y + (long long)head * D * a.pitch + base + position;
  for (int i = threadIdx.x; i < D * (TILE / 8); i += blockDim.x) {
    int d = i / (TILE / 8), t = i % (TILE / 8) * 8;
    if (position + t < a.sequence) *(uint4 *)(target + (long long)d * a.pitch + t) = *(const uint4 *)(tile + d * STRIDE + t);
  }
}
#endif
#endif
