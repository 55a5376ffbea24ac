// AdamW and sums over flat fp32 memory. Bytes are the bound: AdamW reads four numbers and writes three a parameter.
#include "element.cuh"

#define EACH(i) for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < a.count; i += (long long)gridDim.x * blockDim.x)

/// m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, w = w keep - step m / (sqrt(v) / rootCorrection + epsilon); elementwise.
KERNEL(adamw, 256, fg_adam) {
  EACH(i) {
    float g = a.gradient[i] * a.gradientScale;
    float m = a.beta1 * a.first[i] + (1.0f - a.beta1) * g, v = a.beta2 * a.second[i] + (1.0f - a.beta2) * g * g;
    a.first[i] = m;
    a.second[i] = v;
    a.value[i] = a.value[i] * a.keep - a.step * m / (sqrtf(v) / a.rootCorrection + a.epsilon);
  }
}

/// partial[b] = the sum of squares, in double, of piece b of the vector; pieces are cut by `count` alone, sums are trees.
KERNEL(sum_of_squares, 256, fg_sum) {
  SHARED double slot[8];
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  long long size = (a.count + a.parts - 1) / a.parts, first = blockIdx.x * size, end = first + size < a.count ? first + size : a.count;
  double part = 0.0;
  for (long long i = first + threadIdx.x; i < end; i += blockDim.x) part += (double)a.x[i] * (double)a.x[i];
  part = warpSum(part);
  if (lane == 0) slot[warp] = part;
  __syncthreads();
  if (threadIdx.x == 0) {
    double sum = 0.0;
    for (int w = 0; w < 8; w++) sum += slot[w];
    a.partial[blockIdx.x] = sum;
  }
}

/// target[i] += partial[0][i] + partial[1][i] + ..., in order
KERNEL(add_partials, 256, fg_partials) {
  EACH(i) {
    float sum = 0.0f;
    for (int p = 0; p < a.parts; p++) sum += a.partial[p * a.count + i];
    a.target[i] += sum;
  }
}
