// Warpgroups, barriers in shared memory and bulk copies as the PTX ISA describes them, for fibres.
//
// What is asynchronous on a GPU is as late here as it may be, or as early: products read their operands and write their sums when
// they are waited for; of the bulk copies every second lands at once and the others, the last first, when no thread can go on.
#include "warpgroup.h"
#include "fake.h"
#include "tensor_map.h"
#include <cstring>
#include <set>

namespace fake {
namespace {

// MARK: Descriptors

/// "Matrix Descriptor Format": matrix-descriptor-encode(x) = (x & 0x3FFFF) >> 4 in bits 13-0 (start address), 29-16 (leading
/// dimension byte offset) and 45-32 (stride dimension byte offset); base offset in 51-49; in 63-62 the swizzling: 0 none, 1 of
/// 128 bytes, 2 of 64, 3 of 32.
struct Matrix {
  unsigned start, leading, stride, base, swizzling;
  explicit Matrix(uint64_t descriptor)
      : start((descriptor & 0x3fff) << 4), leading((descriptor >> 16 & 0x3fff) << 4), stride((descriptor >> 32 & 0x3fff) << 4),
        base(descriptor >> 49 & 7), swizzling(descriptor >> 62) {}

  /// Units of 16 bytes in a line of the swizzling pattern.
  unsigned units() const {
    constexpr unsigned width[4] = {1, 8, 4, 2};
    return width[swizzling];
  }

  /// "Canonical Layouts", the table of layouts in numbers, T of them in 16 bytes; mn = row of A or column of B, k = step:
  ///   MN-major, no swizzling   ((T,1,m),(8,k)):((1,T,SBO),(1T,LBO))
  ///   MN-major, of 16 s bytes  ((T,s,m),(8,k)):((1,T,LBO),(sT,SBO))
  ///   K-major,  no swizzling   ((8,m),(T,2k)):((1T,SBO),(1,LBO))
  ///   K-major,  of 16 s bytes  ((8,m),(T,2k)):((sT,SBO),(1,T))
  /// followed by Swizzle<log2 s, 4, 3>: bits 7 and up of the address, log2 s of them, change those from 4 on.
  unsigned place(unsigned bytes, bool isMNMajor, unsigned mn, unsigned k) const {
    unsigned t = 16 / bytes, s = units(), at;
    if (isMNMajor && swizzling == 0) at = mn % t * bytes + mn / t * stride + k % 8 * 16 + k / 8 * leading;
    else if (isMNMajor) at = mn % t * bytes + mn / t % s * 16 + mn / (t * s) * leading + k % 8 * (16 * s) + k / 8 * stride;
    else if (swizzling == 0) at = mn % 8 * 16 + mn / 8 * stride + k % t * bytes + k / t * leading;
    else at = mn % 8 * (16 * s) + mn / 8 * stride + k % t * bytes + k / t * 16;
    at += start;
    return at ^ ((at >> 7 & (s - 1)) << 4);
  }
};

// MARK: Products

/// "Matrix Fragments for wgmma.mma_async.m64nNk16": warp w has rows 16 w ..< 16 (w + 1). With g = lane / 4 and p = 2 (lane % 4)
/// the halves of A's registers are (g, p), (g, p + 1); (g + 8, p), ...; (g, p + 8), ...; (g + 8, p + 8), ...; and D's number i is
/// (g + 8 (i / 2 % 2), 8 (i / 4) + p + i % 2).
double number(uint16_t bits) {
  uint32_t word = (uint32_t)bits << 16;
  float x;
  memcpy(&x, &word, 4);
  return x;
}

/// Number (mn, k) of an operand in shared memory.
class Operand {
  Matrix matrix;
  bool isMNMajor;
  const unsigned char *shared;
  size_t bytes;

public:
  Operand(uint64_t descriptor, bool isMNMajor, const unsigned char *shared, size_t bytes)
      : matrix(descriptor), isMNMajor(isMNMajor), shared(shared), bytes(bytes) {
    if (gpu.exchangesStrides) std::swap(matrix.leading, matrix.stride);
    if (matrix.swizzling != 0 && matrix.base != 0) throw Fault{"the fake knows no base offset of a descriptor but 0"};
  }
  double operator()(unsigned mn, unsigned k) const {
    unsigned at = matrix.place(2, isMNMajor, mn, k);
    bool isInside = at >= gpu.sharedStart && at + 2 <= gpu.sharedStart + bytes;
    // A GPU reads on; only where that is the fault to be found does the fake.
    if (!isInside && !gpu.exchangesStrides) throw Fault{"a descriptor leaves the block's shared memory"};
    uint16_t bits = 0;
    if (isInside) memcpy(&bits, shared + (at - gpu.sharedStart), 2);
    return number(bits);
  }
};

/// D [64, 64] (+)= A [64, 16] B [16, 64] for 128 threads, A from their fragments or, where those are null, by the descriptor `from`;
/// each sum in double and rounded once.
void multiply(float *const (&c)[128], const unsigned *const (&a)[128], uint64_t from, const unsigned char *shared, size_t bytes,
              uint64_t descriptor, bool isMNMajor, bool adds) {
  static thread_local double left[64][16], right[16][64];
  if (a[0]) {
    for (unsigned t = 0; t < 128; t++)
      for (unsigned i = 0; i < 8; i++) {
        unsigned row = t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8, column = t % 4 * 2 + i % 2 + i / 4 * 8;
        left[row][column] = number(a[t][i / 2] >> (i % 2 * 16));
      }
  } else {
    Operand first(from, false, shared, bytes);
    for (unsigned m = 0; m < 64; m++)
      for (unsigned k = 0; k < 16; k++) left[m][k] = first(m, k);
  }
  Operand second(descriptor, isMNMajor, shared, bytes);
  for (unsigned k = 0; k < 16; k++)
    for (unsigned n = 0; n < 64; n++) right[k][n] = second(n, k);
  for (unsigned t = 0; t < 128; t++)
    for (unsigned i = 0; i < 32; i++) {
      unsigned row = t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8, column = i / 4 * 8 + t % 4 * 2 + i % 2;
      double sum = adds ? c[t][i] : 0;
      for (unsigned k = 0; k < 16; k++) sum += left[row][k] * right[k][column];
      c[t][i] = (float)sum;
    }
}

// MARK: Barriers

/// "Contents of the mbarrier object": the phase, the arrivals that the phase awaits and that the next will, and the tx-count.
/// "Phase Completion of the mbarrier object": the phase ends when none is awaited and the tx-count is 0, and the next begins.
struct Phase {
  uint64_t parity : 1, pending : 20, expected : 20;
  int64_t bytes : 22;
};
static_assert(sizeof(Phase) == 8, "an mbarrier object has 8 bytes");

Phase load(const barrier *b) {
  Phase p;
  memcpy(&p, b, 8);
  return p;
}

void store(barrier *b, Phase p) {
  if (p.pending == 0 && p.bytes == 0) {
    p.parity = !p.parity;
    p.pending = p.expected;
  }
  memcpy(b, &p, 8);
}

/// "mbarrier.arrive.expect_tx": the bytes are expected first, then the thread arrives.
void arriveAt(barrier *b, int expectedBytes) {
  Phase p = load(b);
  if (p.pending == 0) throw Fault{"more threads arrive at a barrier than its phase awaits"};
  p.bytes += expectedBytes;
  p.pending = p.pending - 1;
  store(b, p);
}

/// "complete-tx operation"
void complete(barrier *b, int bytes) {
  Phase p = load(b);
  p.bytes -= bytes;
  store(b, p);
}

/// "mbarrier.test_wait / mbarrier.try_wait": true where the phase of this parity, the current one or the one before, has ended.
bool hasEnded(const barrier *b, unsigned parity) { return load(b).parity != parity; }

// MARK: A block's state

struct Pending {
  void *target;
  const void *source;
  int bytes;
  barrier *b;
  /// Of a box: its map, copied, line and token; `source` is null.
  fg_tensor_map map;
  int line, token;
};

struct Block {
  std::set<const barrier *> barriers;
  std::vector<Pending> copies;
  unsigned started = 0;
};
thread_local Block block;

/// "Swizzling Modes", 128 bytes: of every 1024 bytes of shared memory, line i of 128 has its eighths exchanged, n by n ^ i.
/// Outside the matrix ("Out of bound access") there are zeros.
void landBox(const TensorMap &map, unsigned char *shared, unsigned address, int line, int token) {
  for (unsigned i = 0; i < map.box[1]; i++)
    for (unsigned j = 0; j < map.box[0]; j++) {
      unsigned at = address + i * 128 + j * 2;
      at ^= (at >> 7 & 7) << 4;
      uint64_t t = (uint64_t)token + j, l = (uint64_t)line + i;
      uint16_t bits = 0;
      if (token >= 0 && line >= 0 && t < map.sizes[0] && l < map.sizes[1])
        memcpy(&bits, reinterpret_cast<const unsigned char *>(map.address) + l * map.stride + t * 2, 2);
      memcpy(shared + (at - address), &bits, 2);
    }
}

void land(const Pending &copy) {
  if (copy.source) memcpy(copy.target, copy.source, copy.bytes);
  else landBox(TensorMap::decoded(copy.map), static_cast<unsigned char *>(copy.target), sharedAddress(copy.target), copy.line, copy.token);
  complete(copy.b, copy.bytes);
}

void start(const Pending &copy) {
  auto *first = static_cast<unsigned char *>(copy.target);
  if (first < dynamicShared || first + copy.bytes > dynamicShared + dynamicBytes)
    throw Fault{"a bulk copy leaves the block's shared memory"};
  if (block.started++ % 2) land(copy);
  else block.copies.push_back(copy);
}

/// What the body throws ends the launch from this thread's fibre.
template <typename Body> void guarded(const Body &body) {
  std::string what;
  try {
    body();
  } catch (const Fault &fault) {
    what = fault.what;
  }
  if (!what.empty()) fail(what);
}

void known(const barrier *b) {
  if (!block.barriers.count(b)) throw Fault{"a barrier is used before it is initialised"};
}
} // namespace

unsigned sharedAddress(const void *p) {
  return (unsigned)(static_cast<const unsigned char *>(p) - dynamicShared) + gpu.sharedStart;
}

void initBarrier(barrier *b, int arrivals) {
  guarded([&] {
    if (reinterpret_cast<uintptr_t>(b) % 8) throw Fault{"a barrier is not aligned to 8 bytes"};
    if (arrivals < 1 || arrivals >= 1 << 20) throw Fault{"a barrier's count is out of range"};
    block.barriers.insert(b);
    Phase p = {0, (uint64_t)arrivals, (uint64_t)arrivals, 0};
    memcpy(b, &p, 8);
  });
}

void arrive(barrier *b, int expectedBytes) {
  guarded([&] {
    known(b);
    arriveAt(b, expectedBytes);
  });
}

void waitPhase(barrier *b, unsigned parity) {
  guarded([&] { known(b); });
  waitUntil([](const void *b, unsigned parity) { return hasEnded(static_cast<const barrier *>(b), parity); }, b, parity);
}

/// "cp.async.bulk": both addresses aligned to 16 bytes and the size a multiple of 16; when it is done, complete-tx by its bytes.
void copyBulk(void *shared, const void *global, int bytes, barrier *b) {
  guarded([&] {
    known(b);
    if ((reinterpret_cast<uintptr_t>(shared) | reinterpret_cast<uintptr_t>(global) | (uintptr_t)bytes) & 15 || bytes <= 0)
      throw Fault{"a bulk copy is not aligned to 16 bytes"};
    start({shared, global, bytes, b, {}, 0, 0});
  });
}

/// "cp.async.bulk.tensor": the target aligned to 128 bytes; the whole box counts on the barrier, also where it leaves the matrix.
void copyBox(void *shared, const fg_tensor_map *map, int line, int token, barrier *b) {
  guarded([&] {
    known(b);
    if (reinterpret_cast<uintptr_t>(map) % 64) throw Fault{"a tensor map is not aligned to 64 bytes"};
    TensorMap box = TensorMap::decoded(*map);
    if (sharedAddress(shared) % 1024) throw Fault{"a swizzled box does not begin where a pattern of the swizzling does"};
    start({shared, nullptr, (int)(box.box[0] * box.box[1] * 2), b, *map, line, token});
  });
}

/// "wgmma.fence": before the first product, and between another access to a product's registers and the product.
void fenceProducts() { current->isFenced = true; }

void multiplyGroup(float *c, const unsigned *a, uint64_t b, bool isMNMajor, bool adds) {
  if (!current->isFenced) fail("a warpgroup's product follows other accesses to its registers without a fence");
  current->openProducts.push_back({c, a, 0, b, isMNMajor, adds});
}

void multiplyGroup(float *c, uint64_t a, uint64_t b) {
  if (!current->isFenced) fail("a warpgroup's product follows other accesses to its registers without a fence");
  current->openProducts.push_back({c, nullptr, a, b, false, true});
}

void commitProducts() {
  current->products.push_back(std::move(current->openProducts));
  current->openProducts.clear();
}

/// "wgmma.wait_group": the last thread of the group to come does what all of them have asked for.
void waitProducts(size_t pending) {
  syncGroup(
      [](Fibre *const *group, size_t pending) {
        while (group[0]->products.size() > pending) {
          for (size_t i = 0; i < group[0]->products.front().size(); i++) {
            float *c[128];
            const unsigned *a[128];
            const GroupProduct &first = group[0]->products.front()[i];
            for (int t = 0; t < 128; t++) {
              if (group[t]->products.empty() || group[t]->products.front().size() != group[0]->products.front().size())
                throw Fault{"the threads of a warpgroup ask for different products"};
              const GroupProduct &mine = group[t]->products.front()[i];
              if (mine.left != first.left || mine.b != first.b || mine.isMNMajor != first.isMNMajor || mine.adds != first.adds ||
                  !mine.a != !first.a)
                throw Fault{"the threads of a warpgroup have different descriptors"};
              c[t] = mine.c;
              a[t] = mine.a;
            }
            multiply(c, a, first.left, dynamicShared, dynamicBytes, first.b, first.isMNMajor, first.adds);
          }
          for (int t = 0; t < 128; t++) group[t]->products.erase(group[t]->products.begin());
        }
      },
      pending);
}

void beginWarpgroups() { block = Block(); }

bool landOneCopy() {
  if (block.copies.empty()) return false;
  Pending copy = block.copies.back();
  block.copies.pop_back();
  land(copy);
  return true;
}

std::string faultOfWarpgroups() { return block.copies.empty() ? "" : "a block ended before its bulk copies had landed"; }

} // namespace fake

extern "C" {
unsigned fake_operand_place(unsigned long long descriptor, int bytes, int isMNMajor, int mn, int k) {
  return fake::Matrix(descriptor).place(bytes, isMNMajor != 0, mn, k);
}
int fake_group_product(float *c, const unsigned *a, const void *shared, size_t bytes, unsigned long long descriptor, int isMNMajor) {
  float *sums[128];
  const unsigned *left[128];
  for (int t = 0; t < 128; t++) {
    sums[t] = c + 32 * t;
    left[t] = a + 4 * t;
  }
  try {
    fake::multiply(sums, left, 0, static_cast<const unsigned char *>(shared), bytes, descriptor, isMNMajor != 0, true);
  } catch (const fake::Fault &) {
    return 1;
  }
  return 0;
}
int fake_group_product_of_shared(float *c, const void *shared, size_t bytes, unsigned long long a, unsigned long long b) {
  float *sums[128];
  const unsigned *left[128] = {};
  for (int t = 0; t < 128; t++) sums[t] = c + 32 * t;
  try {
    fake::multiply(sums, left, a, static_cast<const unsigned char *>(shared), bytes, b, false, true);
  } catch (const fake::Fault &) {
    return 1;
  }
  return 0;
}
int fake_copy_box(void *shared, const void *map, int line, int token) {
  fg_tensor_map copy;
  memcpy(&copy, map, sizeof copy);
  try {
    fake::landBox(fake::TensorMap::decoded(copy), static_cast<unsigned char *>(shared), 1024, line, token);
  } catch (const fake::Fault &) {
    return 1;
  }
  return 0;
}
unsigned long long fake_barrier(int arrivals) {
  fake::Phase p = {0, (uint64_t)arrivals, (uint64_t)arrivals, 0};
  unsigned long long b;
  memcpy(&b, &p, 8);
  return b;
}
int fake_barrier_arrive(unsigned long long *b, int expectedBytes) {
  try {
    fake::arriveAt((barrier *)b, expectedBytes);
  } catch (const fake::Fault &) {
    return 1;
  }
  return 0;
}
void fake_barrier_complete(unsigned long long *b, int bytes) { fake::complete((barrier *)b, bytes); }
int fake_barrier_has_ended(const unsigned long long *b, int parity) { return fake::hasEnded((const barrier *)b, parity); }
void fake_exchange_strides(int exchanges) { fake::gpu.exchangesStrides = exchanges != 0; }
void fake_begin_shared_at(unsigned address) { fake::gpu.sharedStart = address; }
}
