// What a warpgroup of sm_90a does, to the host's compiler: wgmma with its descriptors, barriers in shared memory, bulk copies.
// Written from the PTX ISA alone; the sections are named where each meaning stands, in warpgroup.cpp.
#pragma once
#include "arguments.h"
#include "fibre.h"

typedef uint64_t barrier;

namespace fake {

/// Where an address of shared memory lies in its window, which begins beyond 0.
unsigned sharedAddress(const void *p);
void initBarrier(barrier *b, int arrivals);
void arrive(barrier *b, int expectedBytes);
void waitPhase(barrier *b, unsigned parity);
void copyBulk(void *shared, const void *global, int bytes, barrier *b);
void copyBox(void *shared, const fg_tensor_map *map, int line, int token, barrier *b);

void fenceProducts();
void commitProducts();
void waitProducts(size_t pending);
void multiplyGroup(float *c, const unsigned *a, uint64_t b, bool isMNMajor, bool adds);
void multiplyGroup(float *c, uint64_t a, uint64_t b);

} // namespace fake

static inline unsigned sharedAddress(const void *p) { return fake::sharedAddress(p); }
static inline void initBarrier(barrier *b, int arrivals) { fake::initBarrier(b, arrivals); }
static inline void publishBarriers() {}
static inline void publishWrites() {}
static inline void arrive(barrier *b) { fake::arrive(b, 0); }
static inline void arriveExpecting(barrier *b, int bytes) { fake::arrive(b, bytes); }
static inline void waitPhase(barrier *b, unsigned parity) { fake::waitPhase(b, parity); }
static inline void copyBulk(void *shared, const void *global, int bytes, barrier *b) { fake::copyBulk(shared, global, bytes, b); }
static inline void copyBox(void *shared, const fg_tensor_map *map, int line, int token, barrier *b) {
  fake::copyBox(shared, map, line, token, b);
}
static inline void fenceProducts() { fake::fenceProducts(); }
static inline void commitProducts() { fake::commitProducts(); }
template <int pending> static inline void waitProducts() { fake::waitProducts(pending); }
template <bool isMNMajor>
static inline void multiplyGroup(float (&c)[8][4], const unsigned (&a)[4], unsigned long long b, bool adds) {
  fake::multiplyGroup(c[0], a, b, isMNMajor, adds);
}
static inline void multiplyGroup(float (&c)[8][4], unsigned long long a, unsigned long long b) { fake::multiplyGroup(c[0], a, b); }
static inline void __syncwarp() { fake::exchange({}); }
static inline int fromFirst(int x) {
  fake::Deposit mine = {};
  mine.words[0] = (uint32_t)x;
  return (int)fake::exchange(mine)[0].words[0];
}
