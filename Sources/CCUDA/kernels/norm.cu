// RMSNorm, 64 tokens a block: a lane has two tokens, a warp every eighth feature; sums over features go through shared memory in
// the warps' order. Bytes are the bound: x twice (the second time from the cache) and y once.
#include "element.cuh"

/// The sum over the eight warps for each of the block's 64 tokens; `part` is the caller's, `slot` [8][64].
DEVICE pair sumOverWarps(float (*slot)[64], pair part) {
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  slot[warp][2 * lane] = part.first;
  slot[warp][2 * lane + 1] = part.second;
  __syncthreads();
  pair sum = {0.0f, 0.0f};
  for (int w = 0; w < 8; w++) {
    sum.first += slot[w][2 * lane];
    sum.second += slot[w][2 * lane + 1];
  }
  __syncthreads();
  return sum;
}

/// y = x * inverse * weight, inverse = 1 / sqrt(mean(x^2) + epsilon)
KERNEL(rms_norm, 256, fg_norm) {
  SHARED float slot[8][64];
  int token = blockIdx.x * 64 + 2 * (threadIdx.x & 31), warp = threadIdx.x >> 5;
  const element *x = (const element *)a.x + token;
  element *y = (element *)a.y + token;
  pair part = {0.0f, 0.0f};
  for (int f = warp; f < a.features; f += 8) {
    pair v = load2(x + (long long)f * a.pitch);
    part.first += v.first * v.first;
    part.second += v.second * v.second;
  }
  pair sum = sumOverWarps(slot, part);
  float i0 = 1.0f / sqrtf(sum.first / (float)a.features + a.epsilon), i1 = 1.0f / sqrtf(sum.second / (float)a.features + a.epsilon);
  for (int f = warp; f < a.features; f += 8) {
    pair v = load2(x + (long long)f * a.pitch);
    store2(y + (long long)f * a.pitch, v.first * i0 * a.weight[f], v.second * i1 * a.weight[f]);
  }
  if (warp == 0) store2(a.inverse + token, i0, i1);
}

/// dx (+)= inverse (dy weight - x inverse^2 / F sum over f of dy weight x); y is dx here.
KERNEL(rms_norm_gradient, 256, fg_norm) {
  SHARED float slot[8][64];
  int token = blockIdx.x * 64 + 2 * (threadIdx.x & 31), warp = threadIdx.x >> 5;
  const element *x = (const element *)a.x + token, *dy = (const element *)a.dy + token;
  element *dx = (element *)a.y + token;
  pair part = {0.0f, 0.0f};
  for (int f = warp; f < a.features; f += 8) {
    pair v = load2(x + (long long)f * a.pitch), d = load2(dy + (long long)f * a.pitch);
    part.first += d.first * a.weight[f] * v.first;
    part.second += d.second * a.weight[f] * v.second;
  }
  pair sum = sumOverWarps(slot, part), inverse = load2(a.inverse + token);
  float c0 = inverse.first * inverse.first * sum.first / (float)a.features;
  float c1 = inverse.second * inverse.second * sum.second / (float)a.features;
  for (int f = warp; f < a.features; f += 8) {
    long long at = (long long)f * a.pitch;
    pair v = load2(x + at), d = load2(dy + at), old = {0.0f, 0.0f};
    if (a.accumulate) old = load2(dx + at);
    store2(dx + at, old.first + inverse.first * (d.first * a.weight[f] - v.first * c0),
           old.second + inverse.second * (d.second * a.weight[f] - v.second * c1));
  }
}

/// dweight[f] += sum over t of dy[f][t] x[f][t] inverse[t]; a block owns a feature and adds its threads' sums as a tree.
KERNEL(rms_norm_weight_gradient, 256, fg_norm) {
  SHARED float slot[8];
  int f = blockIdx.x, lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const element *x = (const element *)a.x + (long long)f * a.pitch, *dy = (const element *)a.dy + (long long)f * a.pitch;
  float part = 0.0f;
  for (int t = 2 * threadIdx.x; t < a.pitch; t += 512) {
    pair v = load2(x + t), d = load2(dy + t), inverse = load2(a.inverse + t);
    part += d.first * v.first * inverse.first + d.second * v.second * inverse.second;
  }
  part = warpSum(part);
  if (lane == 0) slot[warp] = part;
  __syncthreads();
  if (threadIdx.x == 0) {
    float sum = 0.0f;
    for (int w = 0; w < 8; w++) sum += slot[w];
    a.dweight[f] += sum;
  }
}
