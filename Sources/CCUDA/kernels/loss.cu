// Cross-entropy in place, in three launches: a slice of the vocabulary for 64 tokens a block (sums in the slices' order), then a
// thread a token joins the slices, then the gradient. Bytes are the bound: the logits read twice and written once.
#include "element.cuh"

#define SLICE 512

/// partial[slice][0][t] = max, partial[slice][1][t] = sum of exp(logit - max) over the slice
KERNEL(loss_slices, 256, fg_loss) {
  SHARED float most[8][64];
  SHARED float total[8][64];
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, token = blockIdx.x * 64 + 2 * lane;
  int first = blockIdx.y * SLICE, end = smaller(a.vocabulary, first + SLICE);
  const element *x = (const element *)a.logits + token;
  float m0 = HALF_MOST_NEGATIVE, m1 = HALF_MOST_NEGATIVE, s0 = 0.0f, s1 = 0.0f;
  for (int v = first + warp; v < end; v += 8) {
    pair logit = load2(x + (long long)v * a.pitch);
    float n0 = fmaxf(m0, logit.first), n1 = fmaxf(m1, logit.second);
    s0 = s0 * expf(m0 - n0) + expf(logit.first - n0);
    s1 = s1 * expf(m1 - n1) + expf(logit.second - n1);
    m0 = n0;
    m1 = n1;
  }
  most[warp][2 * lane] = m0;
  most[warp][2 * lane + 1] = m1;
  total[warp][2 * lane] = s0;
  total[warp][2 * lane + 1] = s1;
  __syncthreads();
  if (threadIdx.x < 64) {
    int t = threadIdx.x;
    float m = most[0][t], s = 0.0f;
    for (int w = 1; w < 8; w++) m = fmaxf(m, most[w][t]);
    for (int w = 0; w < 8; w++) s += total[w][t] * expf(most[w][t] - m);
    a.partial[(long long)(2 * blockIdx.y) * a.pitch + blockIdx.x * 64 + t] = m;
    a.partial[(long long)(2 * blockIdx.y + 1) * a.pitch + blockIdx.x * 64 + t] = s;
  }
}

/// logSums[t] = ln sum exp; of the tokens, losses[t] = logSums[t] - logit of the target, 0 where there is none
KERNEL(loss_tokens, 64, fg_loss) {
  int t = blockIdx.x * 64 + threadIdx.x;
  float m = HALF_MOST_NEGATIVE, s = 0.0f;
  for (int i = 0; i < a.slices; i++) m = fmaxf(m, a.partial[(long long)(2 * i) * a.pitch + t]);
  for (int i = 0; i < a.slices; i++) s += a.partial[(long long)(2 * i + 1) * a.pitch + t] * expf(a.partial[(long long)(2 * i) * a.pitch + t] - m);
  int target = t < a.tokens ? a.targets[t] : -1;
  // Terms of one size are subtracted first: m and the target's logit are both elements.
  a.logSums[t] = m + logf(s);
  if (t < a.tokens)
    a.losses[t] = target < 0 ? 0.0f : logf(s) + (m - toFloat(((const element *)a.logits)[(long long)target * a.pitch + t]));
}

/// logit = scale (exp(logit - logSum) - [target]), 0 where there is no target
KERNEL(loss_gradient, 256, fg_loss) {
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, token = blockIdx.x * 64 + 2 * lane;
  int first = blockIdx.y * SLICE, end = smaller(a.vocabulary, first + SLICE);
  int t0 = token < a.tokens ? a.targets[token] : -1, t1 = token + 1 < a.tokens ? a.targets[token + 1] : -1;
  pair logSum = load2(a.logSums + token);
  float scale0 = t0 < 0 ? 0.0f : a.scale, scale1 = t1 < 0 ? 0.0f : a.scale;
  element *x = (element *)a.logits + token;
  for (int v = first + warp; v < end; v += 8) {
    pair logit = load2(x + (long long)v * a.pitch);
    float p0 = t0 < 0 ? 0.0f : expf(logit.first - logSum.first), p1 = t1 < 0 ? 0.0f : expf(logit.second - logSum.second);
    store2(x + (long long)v * a.pitch, scale0 * (p0 - (v == t0 ? 1.0f : 0.0f)), scale1 * (p1 - (v == t1 ? 1.0f : 0.0f)));
  }
}
