// What the words of the kernels mean to the host's compiler.
#pragma once
#include "warpgroup.h"
#include <cmath>
#include <cstring>

#define FILIGREE_HOST
#define DEVICE static inline
#define DEVICE_MEMBER inline
#define SHARED static thread_local
#define DYNAMIC_SHARED(Type, name) Type *name = (Type *)fake::dynamicShared
#define KERNEL(name, threads, Arguments)                                                                                         \
  static void name(const Arguments a);                                                                                           \
  static const fake::Kernel name##Entry(#name, FAKE_PRECISION, threads, [](void **p) {                                          \
    /* As a launch does: from wherever they are to where they are aligned. */                                                    \
    Arguments a;                                                                                                                  \
    memcpy(&a, p[0], sizeof a);                                                                                                   \
    name(a);                                                                                                                      \
  });                                                                                                                             \
  static void name(const Arguments a)
#define threadIdx (fake::current->threadIdx)
#define blockIdx (fake::blockIndex)
#define blockDim (fake::blockSize)
#define gridDim (fake::gridSize)
#define __syncthreads fake::syncBlock

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

/// What a GPU traps on.
#define ALIGNED(address, bytes) ((uintptr_t)(address) % (bytes) ? fake::fail("an address is not aligned") : (void)0)

static inline int atomicAdd(int *counter, int term) {
  int old = *counter;
  *counter += term;
  return old;
}

static inline float asFloat(unsigned bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
static inline unsigned asBits(float x) {
  unsigned bits;
  memcpy(&bits, &x, 4);
  return bits;
}
static inline double shuffleXor(double x, int mask) {
  fake::Deposit mine = {};
  mine.number = x;
  int lane = fake::current->lane;
  return fake::exchange(mine)[lane ^ mask].number;
}
static inline float shuffleXor(float x, int mask) { return (float)shuffleXor((double)x, mask); }

struct bf16;

/// Row `index` of matrix `which`, eight 16-bit numbers.
static inline const uint16_t *matrixRow(const fake::Deposit *all, int which, int index) {
  const void *row = all[8 * which + index].row;
  if ((uintptr_t)row % 16) fake::fail("a matrix row is not aligned to 16 bytes");
  return (const uint16_t *)row;
}
static inline void loadMatrices(unsigned (&r)[4], const bf16 *row) {
  fake::Deposit mine = {};
  mine.row = row;
  int lane = fake::current->lane;
  fake::current->isFenced = false;
  const fake::Deposit *all = fake::exchange(mine);
  for (int i = 0; i < 4; i++) memcpy(&r[i], matrixRow(all, i, lane / 4) + lane % 4 * 2, 4);
}
static inline void loadTransposed(unsigned (&r)[4], const bf16 *row) {
  fake::Deposit mine = {};
  mine.row = row;
  int lane = fake::current->lane;
  fake::current->isFenced = false;
  const fake::Deposit *all = fake::exchange(mine);
  for (int i = 0; i < 4; i++)
    r[i] = matrixRow(all, i, lane % 4 * 2)[lane / 4] | (unsigned)matrixRow(all, i, lane % 4 * 2 + 1)[lane / 4] << 16;
}

/// Two bf16 numbers in a word.
static inline double half(uint32_t word, int which) { return asFloat((which ? word >> 16 : word & 0xffff) << 16); }

/// c += a b, each sum in double and rounded once: within what a tensor core may do.
static inline void multiplyAdd(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  fake::Deposit mine = {};
  memcpy(mine.words, a, 16);
  mine.words[4] = b0;
  mine.words[5] = b1;
  int lane = fake::current->lane;
  const fake::Deposit *all = fake::exchange(mine);
  for (int i = 0; i < 4; i++) {
    int row = lane / 4, column = lane % 4 * 2 + i % 2, high = i / 2;
    double sum = c[i];
    // A's row lies in lanes 4 row ..., B's column in lanes 4 column ...: register `high` holds k < 8, `high` + 2 the rest.
    for (int quarter = 0; quarter < 4; quarter++)
      for (int part = 0; part < 2; part++)
        for (int which = 0; which < 2; which++)
          sum += half(all[4 * row + quarter].words[high + 2 * part], which) * half(all[4 * column + quarter].words[4 + part], which);
    c[i] = (float)sum;
  }
}

/// The same with a sparse a [16, 32]: number q of a row is one of the four columns 4 (q / 2) ..., which the word of lane 4 g + q / 8
/// says in two bits (PTX ISA, mma.sp::ordered_metadata.m16n8k32 with selector 0).
static inline void multiplyAddChosen(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, unsigned b2, unsigned b3,
                                     unsigned chosen) {
  fake::Deposit mine = {};
  memcpy(mine.words, a, 16);
  mine.words[4] = b0;
  mine.words[5] = b1;
  mine.words[6] = b2;
  mine.words[7] = b3;
  mine.words[8] = chosen;
  int lane = fake::current->lane;
  const fake::Deposit *all = fake::exchange(mine);
  for (int i = 0; i < 4; i++) {
    int g = lane / 4, column = lane % 4 * 2 + i % 2, high = i / 2, last = -1;
    double sum = c[i];
    for (int q = 0; q < 16; q++) {
      uint32_t word = all[4 * g + q / 8].words[8] >> (16 * high);
      int which = word >> (2 * (q % 8)) & 3, k = q / 2 * 4 + which;
      if (k <= last) fake::fail("the choices of a sparse matrix do not ascend");
      last = k;
      double left = half(all[4 * g + q % 8 / 2].words[high + q / 8 * 2], q % 2);
      sum += left * half(all[4 * column + k % 8 / 2].words[4 + k / 8], k % 2);
    }
    c[i] = (float)sum;
  }
}

static inline void copyAsync(void *shared, const void *global) { fake::copyLater(shared, global); }
static inline void commitCopies() { fake::closeGroup(); }
template <int pending> static inline void waitCopies() { fake::landCopies(pending); }
