// Tensor-core steps: ldmatrix, mma.sync.m16n8k16, mma.sp.m16n8k32 and asynchronous copies of 16 bytes (sm_80 and up).
//
// A fragment's place (PTX ISA, "Matrix Fragments for mma.m16n8k16"): with g = lane / 4 and p = 2 (lane % 4),
//   a[0..3] = (g, p), (g + 8, p), (g, p + 8), (g + 8, p + 8) of A [16, 16], two neighbours along k in a register;
//   b[0..1] = (p, g), (p + 8, g) of B [16, 8], two along k;   c[0..3] = (g, p), (g, p + 1), (g + 8, p), (g + 8, p + 1).
//
// Of a sparse A [16, 32] (mma.sp.m16n8k32) a row holds two of every four, and a[0..3] lie as above in the matrix [16, 16] of what
// it holds; b[0..3] = (p, g), (p + 8, g), (p + 16, g), (p + 24, g). Lanes 4 g + h, h = 0, 1, say which two those are, in columns
// 16 h ..< 16 (h + 1): two bits a number and ascending in each four, row g in the low half of the word and row g + 8 in the high.
#ifndef FILIGREE_TENSOR
#define FILIGREE_TENSOR
#include "element.cuh"

#ifndef FILIGREE_HOST
/// Four 8 x 8 matrices of 16-bit numbers; lane i gives the address of row i % 8 of matrix i / 8.
DEVICE void loadMatrices(unsigned (&r)[4], const bf16 *row) {
  unsigned at = (unsigned)__cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
}
/// The same, each matrix transposed.
DEVICE void loadTransposed(unsigned (&r)[4], const bf16 *row) {
  unsigned at = (unsigned)__cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
}
/// c += a b
DEVICE void multiplyAdd(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
/// c += a b with a sparse a [16, 32]
DEVICE void multiplyAddChosen(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, unsigned b2, unsigned b3, unsigned chosen) {
  asm volatile("mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.bf16.bf16.f32 "
               "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9,%10,%11}, {%0,%1,%2,%3}, %12, 0x0;"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(b2), "r"(b3), "r"(chosen));
}
DEVICE void copyAsync(void *shared, const void *global) {
  unsigned at = (unsigned)__cvta_generic_to_shared(shared);
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(global) : "memory");
}
DEVICE void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits until at most `pending` groups of this thread are on their way.
template <int pending> DEVICE void waitCopies() { asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory"); }
#endif

/// Lane's row for `loadMatrices` of A [16, 16] stored by rows of `stride` elements.
DEVICE const bf16 *rowsA(const bf16 *tile, int stride, int lane) { return tile + (lane & 15) * stride + (lane >> 4) * 8; }
/// Lane's row for `loadTransposed` of A [16, 16] stored by columns (k outermost).
DEVICE const bf16 *columnsA(const bf16 *tile, int stride, int lane) {
  return tile + ((lane >> 4) * 8 + (lane & 7)) * stride + (lane >> 3 & 1) * 8;
}
/// Lane's row for `loadTransposed` of two B [16, 8] side by side, stored with k outermost: r[0..1] the first, r[2..3] the second.
DEVICE const bf16 *rowsB(const bf16 *tile, int stride, int lane) {
  return tile + ((lane >> 3 & 1) * 8 + (lane & 7)) * stride + (lane >> 4) * 8;
}
/// Lane's row for `loadMatrices` of two B [16, 8] side by side, stored with n outermost.
DEVICE const bf16 *columnsB(const bf16 *tile, int stride, int lane) {
  return tile + ((lane >> 4) * 8 + (lane & 7)) * stride + (lane >> 3 & 1) * 8;
}
#endif
