// Causal attention within each sequence, any head dimension, on ordinary multiply-adds; no matrix of scores in memory.
//
//     s = k q / sqrt(D),  P = softmax(s) over the visible keys,  o = v' P
//
// A block has 64 queries (a thread each) of one head and meets the keys in tiles of 32, keeping the largest score and the sum so
// far (Milakov and Gimelshein 2018, arXiv 1805.02867); the gradient makes P again from the kept log sums (Dao et al. 2022, arXiv
// 2205.14135). Queries and keys have a pass each, so that nobody adds to another's numbers: the same bits always.
#include "element.cuh"

#define QUERIES 64
#define KEYS 32

/// Where a block's 64 tokens lie: which head, the first token of the sequence, the first position.
struct Place {
  int head, base, position;
};

DEVICE Place placeOf(const fg_attention &a) {
  int tiles = (a.sequence + QUERIES - 1) / QUERIES;
  Place p = {(int)blockIdx.y, (int)blockIdx.x / tiles * a.sequence, (int)blockIdx.x % tiles * QUERIES};
  return p;
}

/// tile[d][i] = x[head][d][base + position + i], zeros beyond the sequence.
DEVICE void loadTile(float *tile, const void *x, const fg_attention &a, int head, int base, int position, int width) {
  const element *source = (const element *)x + (long long)head * a.dimension * a.pitch + base;
  for (int i = threadIdx.x; i < a.dimension * width; i += blockDim.x) {
    int d = i / width, t = position + i % width;
    tile[i] = t < a.sequence ? toFloat(source[(long long)d * a.pitch + t]) : 0.0f;
  }
}

/// y[head][d][base + position + i] = tile[d][i]
DEVICE void storeTile(const float *tile, void *y, const fg_attention &a, int head, int base, int position) {
  element *target = (element *)y + (long long)head * a.dimension * a.pitch + base;
  for (int i = threadIdx.x; i < a.dimension * QUERIES; i += blockDim.x) {
    int d = i / QUERIES, t = position + i % QUERIES;
    if (t < a.sequence) target[(long long)d * a.pitch + t] = toElement(tile[i]);
  }
}

DEVICE bool visible(const fg_attention &a, int query, int key) {
  return key <= query && key + a.window > query && query < a.sequence;
}

DEVICE int firstKey(const fg_attention &a, int query) { return larger(0, query - a.window + 1) / KEYS * KEYS; }

KERNEL(attention, 64, fg_attention) {
  DYNAMIC_SHARED(float, memory);
  Place p = placeOf(a);
  int me = threadIdx.x, query = p.position + me, keyHead = p.head / (a.heads / a.keyValueHeads);
  float *q = memory, *o = q + a.dimension * QUERIES, *k = o + a.dimension * QUERIES, *v = k + a.dimension * KEYS;
  loadTile(q, a.q, a, p.head, p.base, p.position, QUERIES);
  for (int d = 0; d < a.dimension; d++) o[d * QUERIES + me] = 0.0f;
  float most = HALF_MOST_NEGATIVE, total = 0.0f;
  int end = smaller(a.sequence, p.position + QUERIES);
  for (int first = firstKey(a, p.position); first < end; first += KEYS) {
    __syncthreads();
    loadTile(k, a.k, a, keyHead, p.base, first, KEYS);
    loadTile(v, a.v, a, keyHead, p.base, first, KEYS);
    __syncthreads();
    float s[KEYS];
#pragma unroll
    for (int j = 0; j < KEYS; j++) s[j] = 0.0f;
    for (int d = 0; d < a.dimension; d++) {
      float value = q[d * QUERIES + me];
#pragma unroll
      for (int j = 0; j < KEYS; j++) s[j] += value * k[d * KEYS + j];
    }
    float next = most;
#pragma unroll
    for (int j = 0; j < KEYS; j++) {
      s[j] = visible(a, query, first + j) ? s[j] * a.scale : HALF_MOST_NEGATIVE;
      next = fmaxf(next, s[j]);
    }
    float keep = expf(most - next);
    total *= keep;
#pragma unroll
    for (int j = 0; j < KEYS; j++) {
      s[j] = s[j] == HALF_MOST_NEGATIVE ? 0.0f : expf(s[j] - next);
      total += s[j];
    }
    for (int d = 0; d < a.dimension; d++) {
      float sum = o[d * QUERIES + me] * keep;
#pragma unroll
      for (int j = 0; j < KEYS; j++) sum += s[j] * v[d * KEYS + j];
      o[d * QUERIES + me] = sum;
    }
    most = next;
  }
  float inverse = total > 0.0f ? 1.0f / total : 0.0f;
  for (int d = 0; d < a.dimension; d++) o[d * QUERIES + me] *= inverse;
  if (query < a.sequence) a.logSums[(long long)p.head * a.pitch + p.base + query] = most + logf(total);
  __syncthreads();
  storeTile(o, a.y, a, p.head, p.base, p.position);
}

/// delta[head][t] = sum over d of doutput * output
KERNEL(attention_delta, 256, fg_attention) {
  int token = blockIdx.x * blockDim.x + threadIdx.x, head = blockIdx.y;
  if (token >= a.pitch) return;
  float sum = 0.0f;
  for (int d = 0; d < a.dimension; d++) {
    long long at = (long long)(head * a.dimension + d) * a.pitch + token;
    sum += toFloat(((const element *)a.doutput)[at]) * toFloat(((const element *)a.output)[at]);
  }
  a.delta[(long long)head * a.pitch + token] = sum;
}

/// dq = sum over keys of dS k, dS = P (dP - delta) / sqrt(D), dP = do v: a thread a query.
KERNEL(attention_gradient_queries, 64, fg_attention) {
  DYNAMIC_SHARED(float, memory);
  Place p = placeOf(a);
  int me = threadIdx.x, query = p.position + me, keyHead = p.head / (a.heads / a.keyValueHeads);
  float *q = memory, *dout = q + a.dimension * QUERIES, *dq = dout + a.dimension * QUERIES;
  float *k = dq + a.dimension * QUERIES, *v = k + a.dimension * KEYS;
  loadTile(q, a.q, a, p.head, p.base, p.position, QUERIES);
  loadTile(dout, a.doutput, a, p.head, p.base, p.position, QUERIES);
  for (int d = 0; d < a.dimension; d++) dq[d * QUERIES + me] = 0.0f;
  long long statistic = (long long)p.head * a.pitch + p.base + smaller(query, a.sequence - 1);
  float logSum = a.logSums[statistic], delta = a.delta[statistic];
  int end = smaller(a.sequence, p.position + QUERIES);
  for (int first = firstKey(a, p.position); first < end; first += KEYS) {
    __syncthreads();
    loadTile(k, a.k, a, keyHead, p.base, first, KEYS);
    loadTile(v, a.v, a, keyHead, p.base, first, KEYS);
    __syncthreads();
    for (int j = 0; j < KEYS; j++) {
      if (!visible(a, query, first + j)) continue;
      float s = 0.0f, dp = 0.0f;
      for (int d = 0; d < a.dimension; d++) {
        s += q[d * QUERIES + me] * k[d * KEYS + j];
        dp += dout[d * QUERIES + me] * v[d * KEYS + j];
      }
      float ds = expf(s * a.scale - logSum) * (dp - delta) * a.scale;
      for (int d = 0; d < a.dimension; d++) dq[d * QUERIES + me] += ds * k[d * KEYS + j];
    }
  }
  __syncthreads();
  storeTile(dq, a.dq, a, p.head, p.base, p.position);
}

/// dk = sum over queries of dS q, dv = sum of P do, over all query heads of a key-value head: a thread a key.
KERNEL(attention_gradient_keys, 64, fg_attention) {
  DYNAMIC_SHARED(float, memory);
  Place p = placeOf(a);
  int me = threadIdx.x, key = p.position + me, group = a.heads / a.keyValueHeads;
  int size = a.dimension * QUERIES, part = a.dimension * KEYS;
  float *k = memory, *v = k + size, *dk = v + size, *dv = dk + size, *q = dv + size, *dout = q + part, *statistic = dout + part;
  loadTile(k, a.k, a, p.head, p.base, p.position, QUERIES);
  loadTile(v, a.v, a, p.head, p.base, p.position, QUERIES);
  for (int d = 0; d < a.dimension; d++) dk[d * QUERIES + me] = dv[d * QUERIES + me] = 0.0f;
  long long last = (long long)p.position + QUERIES - 1 + a.window;
  int end = last < a.sequence ? (int)last : a.sequence;
  for (int head = p.head * group; head < (p.head + 1) * group; head++)
    for (int first = p.position / KEYS * KEYS; first < end; first += KEYS) {
      __syncthreads();
      loadTile(q, a.q, a, head, p.base, first, KEYS);
      loadTile(dout, a.doutput, a, head, p.base, first, KEYS);
      if (me < KEYS) {
        long long at = (long long)head * a.pitch + p.base + smaller(first + me, a.sequence - 1);
        statistic[me] = a.logSums[at];
        statistic[KEYS + me] = a.delta[at];
      }
      __syncthreads();
      for (int i = 0; i < KEYS; i++) {
        if (!visible(a, first + i, key)) continue;
        float s = 0.0f, dp = 0.0f;
        for (int d = 0; d < a.dimension; d++) {
          s += k[d * QUERIES + me] * q[d * KEYS + i];
          dp += v[d * QUERIES + me] * dout[d * KEYS + i];
        }
        float weight = expf(s * a.scale - statistic[i]), ds = weight * (dp - statistic[KEYS + i]) * a.scale;
        for (int d = 0; d < a.dimension; d++) {
          dk[d * QUERIES + me] += ds * q[d * KEYS + i];
          dv[d * QUERIES + me] += weight * dout[d * KEYS + i];
        }
      }
    }
  __syncthreads();
  storeTile(dk, a.dk, a, p.head, p.base, p.position);
  storeTile(dv, a.dv, a, p.head, p.base, p.position);
}
