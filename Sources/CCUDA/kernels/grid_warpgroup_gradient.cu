// dvalues[k] += dy[row] x[column]' on the tensor cores of sm_90a, for blocks whose sides are multiples of 64.
//
// A tile is up to twelve pieces of 64 x 64 values, chosen to lie on few strips of 64 lines of dy and of x, and a share of the tokens.
// A step is 64 tokens: their boxes of all strips come by bulk copies through tensor maps into a slot of a ring, swizzled by 128
// bytes, which is K-major for both operands as activations lie. Two warpgroups multiply, each half of the pieces, from shared memory
// alone: D [64, 64] = dy x'. 192 registers of a thread are sums; the first warp also fills the slots, one step after the last warp
// can have left them.
// One writer a value, in the order of the tokens; with `splits` shares the sums go to `partial` and are added in order (add_partials).
// The bound is the cache: e 64 strips a token for 2 64^2 flops a piece.
#include "warpgroup.cuh"

#if defined(ELEMENT_BF16) && defined(HAS_WARPGROUPS)
#define SIDE 64
#define BOX (SIDE * SIDE)
#define PIECES 6
#define STRIPS 13
#define RECORD 40

KERNEL(grid_warpgroup_gradient, 256, fg_grid_warpgroup_gradient) {
  DYNAMIC_SHARED(bf16, memory);
  // Where a pattern of the swizzling begins.
  bf16 *ring = memory + (1024 - sharedAddress(memory) % 1024) % 1024 / sizeof(bf16);
  int size = a.strips * BOX;
  barrier *full = (barrier *)(ring + a.stages * size), *empty = full + a.stages;
  const int *tile = a.tile + (long long)blockIdx.x * RECORD, *strips = tile + 3, *pieces = strips + STRIPS;
  int lane = threadIdx.x & 31, warp = fromFirst(threadIdx.x >> 5);
  if (threadIdx.x == 0) {
    for (int s = 0; s < a.stages; s++) {
      initBarrier(full + s, 1);
      // Each warp.
      initBarrier(empty + s, 8);
    }
    publishBarriers();
  }
  __syncthreads();
  Tokens tokens = shareOfTokens(a.pitch, SIDE, blockIdx.y, a.splits);
  // One warp: every lane waits for the slot, one asks for the boxes.
  auto fill = [&](int step) {
    if (step >= tokens.steps) return;
    int slot = step % a.stages;
    waitPhase(empty + slot, (step / a.stages & 1) ^ 1);
    if (lane == 0) {
      int lefts = tile[0], count = tile[1];
      arriveExpecting(full + slot, count * BOX * (int)sizeof(bf16));
      for (int i = 0; i < count; i++)
        copyBox(ring + slot * size + i * BOX, i < lefts ? &a.dy : &a.x, strips[i], tokens.first + step * SIDE, full + slot);
    }
    __syncwarp();
  };
  if (warp == 0)
    for (int step = 0; step < a.stages - 1; step++) fill(step);
  // Pieces in turn to the two groups; negative where there is none.
  int strip[PIECES];
#pragma unroll
  for (int p = 0; p < PIECES; p++) {
    int piece = 2 * p + warp / 4;
    strip[p] = fromFirst(piece < tile[2] ? pieces[2 * piece] : -1);
  }
  float sum[PIECES][8][4] = {};
  for (int step = 0; step < tokens.steps; step++) {
    if (warp == 0) fill(step + a.stages - 1);
    int slot = step % a.stages;
    waitPhase(full + slot, step / a.stages & 1);
    const bf16 *boxes = ring + slot * size;
#pragma unroll
    for (int p = 0; p < PIECES; p++) {
      if (strip[p] < 0) continue;
      const bf16 *left = boxes + (strip[p] & 255) * BOX, *right = boxes + (strip[p] >> 8) * BOX;
      // A group of its own for each piece; the one before it runs on meanwhile: it has other sums.
      fenceProducts();
#pragma unroll
      for (int j = 0; j < SIDE; j += 16) multiplyGroup(sum[p], boxDescriptor(left + j), boxDescriptor(right + j));
      commitProducts();
      waitProducts<1>();
    }
    // Before the slot is given back: everything that reads it has retired.
    waitProducts<0>();
    __syncwarp();
    if (lane == 0) arrive(empty + slot);
  }
  float *target = a.splits == 1 ? a.dvalues : a.partial + blockIdx.y * a.count;
  int across = a.inMembers / SIDE, down = a.outMembers / SIDE;
#pragma unroll
  for (int p = 0; p < PIECES; p++) {
    if (strip[p] < 0) continue;
    int place = pieces[2 * (2 * p + warp / 4) + 1], i = place / across % down, j = place % across;
    float *values = target + ((long long)(place / (across * down)) * a.outMembers + i * SIDE) * a.inMembers + j * SIDE;
    eachPair(sum[p], warp % 4 * 16, 0, lane, [&](int row, int column, float first, float second) {
      put2(values + (long long)row * a.inMembers + column, a.splits == 1, first, second);
    });
  }
}
#endif
