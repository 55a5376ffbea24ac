// The multiply-add peak of the tensor cores of sm_90a: mma.sync does not reach it there, wgmma does.
#include "warpgroup.cuh"

#if defined(ELEMENT_BF16) && defined(HAS_WARPGROUPS)
/// 32 products of 64 x 64 x 16 a turn and warpgroup: A in registers, B 2 KiB of shared memory, half of what it moves in that time.
/// Two warpgroups have a multiprocessor, so that one waits for its turn while the other's runs.
KERNEL(group_multiply_add_peak, 256, fg_limit) {
  DYNAMIC_SHARED(bf16, tiles);
  for (int i = threadIdx.x; i < 64 * 16; i += 256) tiles[i] = toBF16(1.0f);
  publishWrites();
  __syncthreads();
  float sum[2][8][4] = {};
  unsigned one[4] = {0x3f803f80u, 0x3f803f80u, 0x3f803f80u, 0x3f803f80u};
  unsigned long long b = descriptor(tiles, 128, 256);
  for (int i = 0; i < a.loops; i++) {
    fenceProducts();
#pragma unroll
    for (int c = 0; c < 32; c++) multiplyGroup<false>(sum[c % 2], one, b, true);
    commitProducts();
    waitProducts<0>();
  }
  waitProducts<0>();
  float total = 0.0f;
#pragma unroll
  for (int i = 0; i < 64; i++) total += sum[i / 32][i / 4 % 8][i % 4];
  if (total == 12345.0f) a.sink[threadIdx.x] = total;
}
#endif
