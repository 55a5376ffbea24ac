// The roofline's two numbers: a read of memory far beyond the caches, and multiply-adds on registers alone.
#include "tensor.cuh"

/// Every thread reads 16 bytes after 16 bytes; the sum is written where it cannot be foreseen, so that no load is left out.
KERNEL(read_all, 256, fg_limit) {
  const float4 *source = (const float4 *)a.source;
  float sum = 0.0f;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < a.count / 4; i += (long long)gridDim.x * blockDim.x) {
    float4 four = source[i];
    sum += four.x + four.y + four.z + four.w;
  }
  if (sum == 12345.0f) a.sink[threadIdx.x] = sum;
}

/// 8 independent multiply-adds a turn and thread, or 8 tensor steps a turn and warp.
KERNEL(multiply_add_peak, 256, fg_limit) {
#ifdef ELEMENT_BF16
  float sum[8][4] = {};
  unsigned w[4] = {0x3f803f80u + threadIdx.x, 0x3f803f80u, 0x3f803f80u, 0x3f803f80u};
  for (int i = 0; i < a.loops; i++)
#pragma unroll
    for (int c = 0; c < 8; c++) multiplyAdd(sum[c], w, w[0], w[1]);
  float total = 0.0f;
#pragma unroll
  for (int c = 0; c < 8; c++) total += sum[c][0] + sum[c][1] + sum[c][2] + sum[c][3];
#else
  float sum[8], factor = 0.999f, term = 0.001f * threadIdx.x;
#pragma unroll
  for (int c = 0; c < 8; c++) sum[c] = (float)c;
  for (int i = 0; i < a.loops; i++)
#pragma unroll
    for (int c = 0; c < 8; c++) sum[c] = sum[c] * factor + term;
  float total = 0.0f;
#pragma unroll
  for (int c = 0; c < 8; c++) total += sum[c];
#endif
  if (total == 12345.0f) a.sink[threadIdx.x] = total;
}
