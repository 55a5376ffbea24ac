// Causal attention forward on tensor cores, head dimensions 16, 32, 64 and 128: see attention.cu for the mathematics.
//
// A block has 64 queries of one head, four warps with 16 each; keys come in tiles of 64. Scores stay in registers, whose places
// after the first product are those that the second one wants (tensor.cuh). Sums are in the keys' order: the same bits always.
// The bound is arithmetic: 4 D flops a visible pair, 128 D bytes of keys and values for 64 x 64 pairs.
#include "attention_tile.cuh"

#ifdef ELEMENT_BF16
template <int D> DEVICE void attend(const fg_attention &a) {
  DYNAMIC_SHARED(bf16, memory);
  bf16 *q = memory, *k = q + D * STRIDE, *v = k + D * STRIDE;
  Block b = blockOf(a);
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, keyHead = b.head / (a.heads / a.keyValueHeads);
  loadTile<D>(q, a.q, a, b.head, b.base, b.position);
  float out[D / 8][4] = {}, most[2] = {HALF_MOST_NEGATIVE, HALF_MOST_NEGATIVE}, total[2] = {0.0f, 0.0f};
  int end = smaller(a.sequence, b.position + TILE);
  for (int first = firstKey(a, b.position); first < end; first += TILE) {
    __syncthreads();
    loadTile<D>(k, a.k, a, keyHead, b.base, first);
    loadTile<D>(v, a.v, a, keyHead, b.base, first);
    waitCopies<0>();
    __syncthreads();
    float s[TILE / 8][4] = {};
    productOfColumns<D>(s, q + warp * 16, k, lane);
    float next[2] = {most[0], most[1]};
#pragma unroll
    for (int n = 0; n < TILE / 8; n++)
#pragma unroll
      for (int c = 0; c < 4; c++) {
        int query = b.position + warp * 16 + c / 2 * 8 + lane / 4, key = first + n * 8 + lane % 4 * 2 + c % 2;
        s[n][c] = visible(a, query, key) ? s[n][c] * a.scale : HALF_MOST_NEGATIVE;
        next[c / 2] = fmaxf(next[c / 2], s[n][c]);
      }
    float keep[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      next[h] = fmaxf(next[h], shuffleXor(next[h], 1));
      next[h] = fmaxf(next[h], shuffleXor(next[h], 2));
      keep[h] = expf(most[h] - next[h]);
      most[h] = next[h];
      total[h] *= keep[h];
    }
#pragma unroll
    for (int n = 0; n < TILE / 8; n++)
#pragma unroll
      for (int c = 0; c < 4; c++) {
        s[n][c] = s[n][c] == HALF_MOST_NEGATIVE ? 0.0f : expf(s[n][c] - most[c / 2]);
        total[c / 2] += s[n][c];
      }
#pragma unroll
    for (int n = 0; n < D / 8; n++)
#pragma unroll
      for (int c = 0; c < 4; c++) out[n][c] *= keep[c / 2];
    addWeighted<D, TILE>(out, s, v, lane);
  }
#pragma unroll
  for (int h = 0; h < 2; h++) {
    total[h] += shuffleXor(total[h], 1);
    total[h] += shuffleXor(total[h], 2);
    int query = b.position + warp * 16 + h * 8 + lane / 4;
    if (lane % 4 == 0 && query < a.sequence) a.logSums[(long long)b.head * a.pitch + b.base + query] = most[h] + logf(total[h]);
    total[h] = total[h] > 0.0f ? 1.0f / total[h] : 0.0f;
  }
#pragma unroll
  for (int n = 0; n < D / 8; n++)
#pragma unroll
    for (int c = 0; c < 4; c++) out[n][c] *= total[c / 2];
  storeColumns<D>(out, q, a.y, a, b.head, b.base, b.position);
}

KERNEL(attention_tensor_16, 128, fg_attention) { attend<16>(a); }
KERNEL(attention_tensor_32, 128, fg_attention) { attend<32>(a); }
KERNEL(attention_tensor_64, 128, fg_attention) { attend<64>(a); }
KERNEL(attention_tensor_128, 128, fg_attention) { attend<128>(a); }
#endif
