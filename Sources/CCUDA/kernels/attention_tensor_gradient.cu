// Attention's gradient on tensor cores: two passes, one that owns queries and one that owns keys, so that nobody adds to
// another's numbers and the sums have the order of the tiles. P is made again from the kept log sums: 7 products in place of 5
// is the price of the same bits always. The bound is arithmetic: 14 D flops a visible pair.
#include "attention_tile.cuh"

#ifdef ELEMENT_BF16
/// Queries that the pass over keys takes at once: fewer where the accumulators of D are many.
#define AT_ONCE(D) ((D) > 64 ? 32 : 64)

/// dq = sum over keys of dS k
template <int D> DEVICE void queries(const fg_attention &a) {
  DYNAMIC_SHARED(bf16, memory);
  bf16 *q = memory, *dout = q + D * STRIDE, *k = dout + D * STRIDE, *v = k + D * STRIDE;
  Block b = blockOf(a);
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, keyHead = b.head / (a.heads / a.keyValueHeads);
  loadTile<D>(q, a.q, a, b.head, b.base, b.position);
  loadTile<D>(dout, a.doutput, a, b.head, b.base, b.position);
  float dq[D / 8][4] = {}, logSum[2], delta[2];
#pragma unroll
  for (int h = 0; h < 2; h++) {
    int query = smaller(b.position + warp * 16 + h * 8 + lane / 4, a.sequence - 1);
    logSum[h] = a.logSums[(long long)b.head * a.pitch + b.base + query];
    delta[h] = a.delta[(long long)b.head * a.pitch + b.base + query];
  }
  int end = smaller(a.sequence, b.position + TILE);
  for (int first = firstKey(a, b.position); first < end; first += TILE) {
    __syncthreads();
    loadTile<D>(k, a.k, a, keyHead, b.base, first);
    loadTile<D>(v, a.v, a, keyHead, b.base, first);
    waitCopies<0>();
    __syncthreads();
#pragma unroll
    for (int part = 0; part < TILE; part += 32) {
      float s[4][4] = {}, dp[4][4] = {};
      productOfColumns<D, 32>(s, q + warp * 16, k + part, lane);
      productOfColumns<D, 32>(dp, dout + warp * 16, v + part, lane);
#pragma unroll
      for (int n = 0; n < 4; n++)
#pragma unroll
        for (int c = 0; c < 4; c++) {
          int query = b.position + warp * 16 + c / 2 * 8 + lane / 4, key = first + part + n * 8 + lane % 4 * 2 + c % 2;
          float p = visible(a, query, key) ? expf(s[n][c] * a.scale - logSum[c / 2]) : 0.0f;
          s[n][c] = p * (dp[n][c] - delta[c / 2]) * a.scale;
        }
      addWeighted<D, 32>(dq, s, k + part, lane);
    }
  }
  storeColumns<D>(dq, q, a.dq, a, b.head, b.base, b.position);
}

/// dk = sum over queries of dS q, dv = sum of P do, over all query heads of the key-value head
template <int D> DEVICE void keys(const fg_attention &a) {
  DYNAMIC_SHARED(bf16, memory);
  bf16 *k = memory, *v = k + D * STRIDE, *q = v + D * STRIDE, *dout = q + D * STRIDE;
  float *statistic = (float *)(dout + D * STRIDE);
  Block b = blockOf(a);
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, group = a.heads / a.keyValueHeads;
  loadTile<D>(k, a.k, a, b.head, b.base, b.position);
  loadTile<D>(v, a.v, a, b.head, b.base, b.position);
  float dk[D / 8][4] = {}, dv[D / 8][4] = {};
  long long last = (long long)b.position + TILE - 1 + a.window;
  int end = last < a.sequence ? (int)last : a.sequence;
  for (int head = b.head * group; head < (b.head + 1) * group; head++)
    for (int first = b.position; first < end; first += TILE) {
      __syncthreads();
      loadTile<D>(q, a.q, a, head, b.base, first);
      loadTile<D>(dout, a.doutput, a, head, b.base, first);
      if (threadIdx.x < TILE) {
        long long at = (long long)head * a.pitch + b.base + smaller(first + threadIdx.x, a.sequence - 1);
        statistic[threadIdx.x] = a.logSums[at];
        statistic[TILE + threadIdx.x] = a.delta[at];
      }
      waitCopies<0>();
      __syncthreads();
      constexpr int W = AT_ONCE(D);
#pragma unroll 1
      for (int part = 0; part < TILE; part += W) {
        float p[W / 8][4] = {}, ds[W / 8][4] = {};
        productOfColumns<D, W>(p, k + warp * 16, q + part, lane);
#pragma unroll
        for (int n = 0; n < W / 8; n++)
#pragma unroll
          for (int c = 0; c < 4; c++) {
            int key = b.position + warp * 16 + c / 2 * 8 + lane / 4, i = part + n * 8 + lane % 4 * 2 + c % 2;
            p[n][c] = visible(a, first + i, key) ? expf(p[n][c] * a.scale - statistic[i]) : 0.0f;
          }
        addWeighted<D, W>(dv, p, dout + part, lane);
        productOfColumns<D, W>(ds, v + warp * 16, dout + part, lane);
#pragma unroll
        for (int n = 0; n < W / 8; n++)
#pragma unroll
          for (int c = 0; c < 4; c++) ds[n][c] = p[n][c] * (ds[n][c] - statistic[TILE + part + n * 8 + lane % 4 * 2 + c % 2]) * a.scale;
        addWeighted<D, W>(dk, ds, q + part, lane);
      }
    }
  storeColumns<D>(dk, q, a.dk, a, b.head, b.base, b.position);
  storeColumns<D>(dv, dout, a.dv, a, b.head, b.base, b.position);
}

KERNEL(attention_tensor_queries_16, 128, fg_attention) { queries<16>(a); }
KERNEL(attention_tensor_queries_32, 128, fg_attention) { queries<32>(a); }
KERNEL(attention_tensor_queries_64, 128, fg_attention) { queries<64>(a); }
KERNEL(attention_tensor_queries_128, 128, fg_attention) { queries<128>(a); }
KERNEL(attention_tensor_keys_16, 128, fg_attention) { keys<16>(a); }
KERNEL(attention_tensor_keys_32, 128, fg_attention) { keys<32>(a); }
KERNEL(attention_tensor_keys_64, 128, fg_attention) { keys<64>(a); }
KERNEL(attention_tensor_keys_128, 128, fg_attention) { keys<128>(a); }
#endif
