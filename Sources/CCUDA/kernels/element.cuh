// Elements of activations, threads and sums: what every kernel includes. The host compiler brings its own meaning of the words
// in capitals (see the fibre shim among the tests); NVRTC gets CUDA's here.
#ifndef FILIGREE_ELEMENT
#define FILIGREE_ELEMENT
#include "arguments.h"

#ifndef FILIGREE_HOST
// The arguments stay where the launch puts them: a tensor map among them has an address.
#define KERNEL(name, threads, Arguments)                                                                                         \
  extern "C" __global__ void __launch_bounds__(threads, 1) name(const __grid_constant__ Arguments a)
#define SHARED __shared__
#define DYNAMIC_SHARED(Type, name) extern __shared__ __align__(128) unsigned char dynamicShared[]; Type *name = (Type *)dynamicShared
#define DEVICE static __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__
#define ALIGNED(address, bytes)

DEVICE float asFloat(unsigned bits) { return __uint_as_float(bits); }
DEVICE unsigned asBits(float x) { return __float_as_uint(x); }
DEVICE float shuffleXor(float x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }
DEVICE double shuffleXor(double x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }
#endif

struct bf16 {
  unsigned short bits;
};

DEVICE float toFloat(bf16 x) { return asFloat((unsigned)x.bits << 16); }
DEVICE float toFloat(float x) { return x; }

/// Round to nearest, ties to even; a NaN stays one.
DEVICE bf16 toBF16(float x) {
  unsigned bits = asBits(x);
  bf16 y;
  y.bits = (bits & 0x7fffffffu) > 0x7f800000u ? (unsigned short)(bits >> 16 | 0x40) : (unsigned short)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
  return y;
}

#ifdef ELEMENT_BF16
typedef bf16 element;
DEVICE element toElement(float x) { return toBF16(x); }
#else
typedef float element;
DEVICE element toElement(float x) { return x; }
#endif

struct pair {
  float first, second;
};

/// Two neighbours at an even index.
DEVICE pair load2(const bf16 *x) {
  ALIGNED(x, 4);
  unsigned bits = *(const unsigned *)x;
  pair p = {asFloat(bits << 16), asFloat(bits & 0xffff0000u)};
  return p;
}
DEVICE pair load2(const float *x) {
  ALIGNED(x, 8);
  float2 two = *(const float2 *)x;
  pair p = {two.x, two.y};
  return p;
}
DEVICE unsigned pack(float first, float second) { return (unsigned)toBF16(first).bits | (unsigned)toBF16(second).bits << 16; }
DEVICE void store2(bf16 *x, float first, float second) {
  ALIGNED(x, 4);
  *(unsigned *)x = pack(first, second);
}
DEVICE void store2(float *x, float first, float second) {
  ALIGNED(x, 8);
  float2 two;
  two.x = first;
  two.y = second;
  *(float2 *)x = two;
}

DEVICE int smaller(int a, int b) { return a < b ? a : b; }
DEVICE int larger(int a, int b) { return a > b ? a : b; }

/// The sum over a warp's lanes, in every lane; the order is the butterfly's, always the same.
DEVICE float warpSum(float x) {
  for (int mask = 16; mask > 0; mask >>= 1) x += shuffleXor(x, mask);
  return x;
}
DEVICE double warpSum(double x) {
  for (int mask = 16; mask > 0; mask >>= 1) x += shuffleXor(x, mask);
  return x;
}

#define HALF_MOST_NEGATIVE (-1e30f)
#endif
