// Steps of a warpgroup (four warps that begin at a multiple of four) on sm_90a: wgmma with A in registers or shared memory and B in
// shared memory, bulk copies that complete on barriers in shared memory.
//
// wgmma.m64n64k16: warp w of the group has rows 16 w ..< 16 (w + 1) of A [64, 16] and of D [64, 64]; within them A's fragment lies
// as that of mma.m16n8k16 does (tensor.cuh), and D's, for the eight columns from 8 n on, is c[n] as there (PTX ISA, "Matrix
// Fragments for wgmma.mma_async.m64nNk16").
//
// B [16 steps, 64 columns] is read by a descriptor without swizzling, from tiles of 8 x 8 numbers, 16 bytes a line, 128 in all:
// K-major, where a line has 8 steps of a column, tiles lie `leading` bytes apart along the steps and `stride` along the columns;
// MN-major, where a line has 8 columns of a step, `leading` along the steps too and `stride` along the columns (PTX ISA, "Strides",
// "Canonical Layouts", "Matrix Descriptor Format").
//
// A box of 64 lines of 64 numbers, copied through a tensor map that swizzles by 128 bytes, is K-major for both operands: line i lies
// at 128 i bytes, and its eighths are exchanged, n by n ^ (i % 8). Eight lines are a pattern, which begins at a multiple of 1024;
// `stride` is from one to the next, and 16 steps further is 32 bytes further (PTX ISA, "Swizzling Modes").
#ifndef FILIGREE_WARPGROUP
#define FILIGREE_WARPGROUP
#include "tensor.cuh"

#if defined(FILIGREE_HOST) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define HAS_WARPGROUPS
#endif

#if defined(HAS_WARPGROUPS) && !defined(FILIGREE_HOST)
/// An mbarrier object: a phase ends when `arrivals` threads have arrived and all bytes that they expect have landed.
typedef unsigned long long barrier;

DEVICE unsigned sharedAddress(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }
DEVICE void initBarrier(barrier *b, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(sharedAddress(b)), "r"(arrivals) : "memory");
}
/// Makes initialised barriers known to the copies; a barrier of the block follows.
DEVICE void publishBarriers() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
DEVICE void arrive(barrier *b) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(sharedAddress(b)) : "memory");
}
DEVICE void arriveExpecting(barrier *b, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(sharedAddress(b)), "r"(bytes) : "memory");
}
DEVICE bool hasEnded(barrier *b, unsigned parity) {
  unsigned done;
  asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
               : "=r"(done) : "r"(sharedAddress(b)), "r"(parity) : "memory");
  return done != 0;
}
/// What the first lane of the warp has.
DEVICE int fromFirst(int x) { return __shfl_sync(0xffffffffu, x, 0); }
DEVICE unsigned long long nanoseconds() {
  unsigned long long now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}
/// Waits for the end of the phase with this parity, or of the one before it. A wait of 20 seconds is a fault: it ends the launch.
DEVICE void waitPhase(barrier *b, unsigned parity) {
  if (hasEnded(b, parity)) return;
  unsigned long long begun = nanoseconds();
  while (!hasEnded(b, parity))
    if (nanoseconds() - begun > 20000000000ull) asm volatile("trap;");
}
/// Starts the copy of `bytes` bytes, a multiple of 16; they count on `b` when they have landed.
DEVICE void copyBulk(void *shared, const void *global, int bytes, barrier *b) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
               ::"r"(sharedAddress(shared)), "l"(global), "r"(bytes), "r"(sharedAddress(b)) : "memory");
}

/// Makes what this thread wrote to shared memory known to products that read it; a barrier of the block follows.
DEVICE void publishWrites() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
/// Before products that read or add to registers which anything else has written.
DEVICE void fenceProducts() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void commitProducts() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Waits until at most `pending` groups of products are on their way.
template <int pending> DEVICE void waitProducts() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory"); }

/// Starts the copy of the box that begins at this line and token; its bytes count on `b` when they have landed.
DEVICE void copyBox(void *shared, const fg_tensor_map *map, int line, int token, barrier *b) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
               ::"r"(sharedAddress(shared)), "l"(map), "r"(token), "r"(line), "r"(sharedAddress(b)) : "memory");
}

#define GROUP_SUMS                                                                                                               \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                                      \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
#define GROUP_SUM(c) "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
#define GROUP_SUMS_OF(c)                                                                                                         \
  GROUP_SUM(c[0]), GROUP_SUM(c[1]), GROUP_SUM(c[2]), GROUP_SUM(c[3]), GROUP_SUM(c[4]), GROUP_SUM(c[5]), GROUP_SUM(c[6]),         \
      GROUP_SUM(c[7])
#define GROUP_PRODUCT(c, operands, ...)                                                                                          \
  asm volatile("{ .reg .pred added; setp.ne.b32 added, %37, 0; "                                                                 \
               "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " GROUP_SUMS operands " }"                                  \
               : GROUP_SUMS_OF(c) : __VA_ARGS__)
#define GROUP_REGISTERS(a, b) "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)
/// c (+)= a b, when it is waited for: added where `adds`; `b` in K-major tiles, or in MN-major ones.
template <bool isMNMajor> DEVICE void multiplyGroup(float (&c)[8][4], const unsigned (&a)[4], unsigned long long b, bool adds) {
  if (isMNMajor) GROUP_PRODUCT(c, "{%32, %33, %34, %35}, %36, added, 1, 1, 1;", GROUP_REGISTERS(a, b), "r"((int)adds));
  else GROUP_PRODUCT(c, "{%32, %33, %34, %35}, %36, added, 1, 1, 0;", GROUP_REGISTERS(a, b), "r"((int)adds));
}
/// The same with both in shared memory, K-major.
DEVICE void multiplyGroup(float (&c)[8][4], unsigned long long a, unsigned long long b) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " GROUP_SUMS "%32, %33, 1, 1, 1, 0, 0;"
               : GROUP_SUMS_OF(c) : "l"(a), "l"(b));
}
#endif

#ifdef HAS_WARPGROUPS
/// The descriptor of tiles that begin at `tiles`, without swizzling; both distances in bytes.
DEVICE unsigned long long descriptor(const void *tiles, int leading, int stride) {
  return (unsigned long long)((sharedAddress(tiles) & 0x3ffff) >> 4) | (unsigned long long)(leading >> 4) << 16 |
         (unsigned long long)(stride >> 4) << 32;
}

/// The descriptor of a box from a tensor map that swizzles by 128 bytes, or of its steps from a multiple of 16 on. A leading distance
/// is not looked at; by convention it is 16.
DEVICE unsigned long long boxDescriptor(const bf16 *box) { return descriptor(box, 16, 1024) | 1ull << 62; }
#endif
#endif
