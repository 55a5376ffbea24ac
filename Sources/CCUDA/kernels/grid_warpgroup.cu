// Block-sparse products on the tensor cores of sm_90a, for blocks whose sides are multiples of 64: y = W x and dx = W' dy.
//
// A tile is 128 tokens and six strips of 64 rows that have columns in common. It walks the strips of 64 columns that any of its
// rows has: their 64 lines of x and the pieces of W there, 64 x 64, come by bulk copies into a ring of slots. Two warpgroups, 64
// tokens each, multiply: D' [tokens, rows] = x' W', x' through registers, since x lies with tokens side by side, and W from shared
// memory by descriptors. W is packed for it (narrow_pieces): piece after piece, each in tiles of 8 x 8 that both directions read,
// forward along the lines of a tile, backward across them. One warp of the eight also fills the slots: a warp for that alone would
// leave the others 168 registers, and 192 of them are sums.
// Blocks draw tiles, most work first, as in grid_tensor.cu. One accumulator a number, in the order of the columns and steps.
// The bound is the cache: e (64 pieces + 128 columns met) a step for 2 64 128 flops a piece.
#include "warpgroup.cuh"

#if defined(ELEMENT_BF16) && defined(HAS_WARPGROUPS)
#define TOKENS 128
#define STRIPS 6
#define SIDE 64
#define PIECE (SIDE * SIDE)
#define LINE (TOKENS + 8)
#define SLOT (SIDE * LINE + STRIPS * PIECE)

/// What lies in a slot: a step of a tile, the pieces that it has, and whether it is the tile's last; a negative tile is the end.
struct Step {
  int tile, present, isLast;
};

/// The step that is copied next: strip k of tile `tile`, or of a tile to be drawn where k is not below `end`.
struct Next {
  int tile, k, end, slot;
  unsigned parity;
};
#define NOTHING_MORE (-2)

struct Ring {
  bf16 *slots;
  barrier *full, *empty;
  Step *steps;
  Next *next;
  int stages;
};

/// One warp. Every lane waits, the first says what is coming, all of them copy.
DEVICE void fill(const fg_grid_warpgroup &a, const Ring &ring, int lane) {
  Next &next = *ring.next;
  if (next.tile == NOTHING_MORE) return;
  if (lane == 0 && next.k >= next.end) {
    int tile = atomicAdd(a.counter, 1);
    next.tile = tile < a.tiles * ((a.pitch + TOKENS - 1) / TOKENS) ? tile : -1;
    if (next.tile >= 0) {
      next.k = a.start[tile % a.tiles];
      next.end = a.start[tile % a.tiles + 1];
    }
  }
  __syncwarp();
  int tile = next.tile, k = next.k, slot = next.slot, token = tile / a.tiles * TOKENS, width = smaller(TOKENS, a.pitch - token);
  // A tile without pieces is one step without anything.
  int present = tile >= 0 && k < next.end ? a.present[k] : 0, copied = 0;
  for (int p = 0; p < STRIPS; p++) copied += present >> p & 1;
  barrier *full = ring.full + slot;
  waitPhase(ring.empty + slot, next.parity ^ 1);
  if (lane == 0) {
    Step step = {tile, present, k + 1 >= next.end};
    ring.steps[slot] = step;
    if (present) arriveExpecting(full, (SIDE * width + copied * PIECE) * (int)sizeof(bf16));
    else arrive(full);
  }
  __syncwarp();
  bf16 *lines = ring.slots + slot * SLOT, *pieces = lines + SIDE * LINE;
  if (present) {
    if (present >> lane & 1)
      copyBulk(pieces + lane * PIECE, (const bf16 *)a.w + (long long)a.piece[k * STRIPS + lane] * PIECE, PIECE * (int)sizeof(bf16), full);
    for (int i = lane; i < SIDE; i += 32)
      copyBulk(lines + i * LINE, (const bf16 *)a.x + (long long)(a.line[k] + i) * a.pitch + token, width * (int)sizeof(bf16), full);
  }
  if (lane == 0) {
    if (tile < 0) next.tile = NOTHING_MORE;
    next.k = k + 1;
    next.slot = slot + 1 == ring.stages ? 0 : slot + 1;
    if (next.slot == 0) next.parity ^= 1;
  }
  __syncwarp();
}

/// y of one strip and 16 tokens, zeros where there is no sum: a lane has two rows of a token, and after an exchange two tokens of a
/// row.
DEVICE void storeStrip(const fg_grid_warpgroup &a, const float (&sum)[8][4], bool isSummed, int row, int token, int lane) {
  int odd = lane >> 2 & 1;
#pragma unroll
  for (int n = 0; n < 8; n++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float own = isSummed ? sum[n][2 * half] : 0.0f, next = isSummed ? sum[n][2 * half + 1] : 0.0f;
      float other = shuffleXor(odd ? own : next, 4);
      bf16 *y = (bf16 *)a.y + (long long)(row + n * 8 + lane % 4 * 2 + odd) * a.pitch + token + half * 8 + lane / 4 - odd;
      put2(y, a.accumulate, odd ? other : own, odd ? next : other);
    }
}

/// Eight warps in two groups of 64 tokens; the first warp also fills the slots, one step after the last warp can have left them.
template <bool transposed> DEVICE void warpgroupProduct(const fg_grid_warpgroup &a) {
  DYNAMIC_SHARED(bf16, memory);
  Ring ring = {memory, (barrier *)(memory + a.stages * SLOT), 0, 0, 0, a.stages};
  ring.empty = ring.full + a.stages;
  ring.steps = (Step *)(ring.empty + a.stages);
  ring.next = (Next *)(ring.steps + a.stages);
  // From one lane to all: the compiler, too, sees that a warp goes one way.
  int lane = threadIdx.x & 31, warp = fromFirst(threadIdx.x >> 5);
  if (threadIdx.x == 0) {
    for (int s = 0; s < a.stages; s++) {
      initBarrier(ring.full + s, 1);
      // Each warp.
      initBarrier(ring.empty + s, 8);
    }
    publishBarriers();
    Next next = {0, 0, 0, 0, 0};
    *ring.next = next;
  }
  __syncthreads();
  if (warp == 0)
    for (int s = 0; s < a.stages - 1; s++) fill(a, ring, lane);
  float sum[STRIPS][8][4] = {};
  unsigned parity = 0;
  // Strips of the tile whose sums have begun: a sum's first product replaces what was there.
  int slot = 0, summed = 0;
  while (true) {
    waitPhase(ring.full + slot, parity);
    int tile = fromFirst(ring.steps[slot].tile), present = fromFirst(ring.steps[slot].present);
    int isLast = fromFirst(ring.steps[slot].isLast);
    if (tile < 0) return;
    int token = tile / a.tiles * TOKENS + warp / 4 * 64;
    bool isInside = token < a.pitch;
    const bf16 *lines = ring.slots + slot * SLOT, *pieces = lines + SIDE * LINE;
    if (isInside && present) {
      unsigned x[SIDE / 16][4];
#pragma unroll
      for (int j = 0; j < SIDE / 16; j++) loadTransposed(x[j], columnsA(lines + j * 16 * LINE + warp * 16, LINE, lane));
#pragma unroll
      for (int p = 0; p < STRIPS; p++) {
        if (!(present >> p & 1)) continue;
        const bf16 *w = pieces + p * PIECE;
        // A group of its own for each piece; the one before it runs on meanwhile: it has other sums, and reads the same x.
        fenceProducts();
#pragma unroll
        for (int j = 0; j < SIDE / 16; j++) {
          // Tile (i, j) of rows and columns of W begins at 8 i + j tiles of 64.
          if (transposed) multiplyGroup<true>(sum[p], x[j], descriptor(w + j * 2 * SIDE * 8, SIDE * 16, 128), j > 0 || summed >> p & 1);
          else multiplyGroup<false>(sum[p], x[j], descriptor(w + j * 2 * 64, 128, SIDE * 16), j > 0 || summed >> p & 1);
        }
        commitProducts();
        waitProducts<1>();
      }
      // Before x is loaded anew, and before the slot is given back: everything that reads them has retired.
      waitProducts<0>();
    }
    summed |= present;
    __syncwarp();
    if (lane == 0) arrive(ring.empty + slot);
    if (warp == 0) fill(a, ring, lane);
    if (isLast) {
#pragma unroll
      for (int p = 0; p < STRIPS; p++) {
        int row = a.row[tile % a.tiles * STRIPS + p];
        if (isInside && row >= 0) storeStrip(a, sum[p], summed >> p & 1, row, token + warp % 4 * 16, lane);
      }
      summed = 0;
    }
    if (++slot == a.stages) {
      slot = 0;
      parity ^= 1;
    }
  }
}

KERNEL(grid_warpgroup, 256, fg_grid_warpgroup) { warpgroupProduct<false>(a); }
KERNEL(grid_warpgroup_transposed, 256, fg_grid_warpgroup) { warpgroupProduct<true>(a); }
#endif
