// One fibre for each CUDA thread of a block: barriers, warp collectives, shared memory and asynchronous copies as a GPU promises
// them, and no more than it promises: shared memory begins as NaN, and a copy lands when its group is waited for, not before.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fake {

struct Dim {
  unsigned x = 1, y = 1, z = 1;
};

struct Copy {
  void *target;
  const void *source;
};

/// What a lane puts down for its warp.
struct Deposit {
  const void *row;
  uint32_t words[9];
  double number;
};

struct Warp {
  Deposit deposits[2][32];
  int arrived = 0, live = 0;
};

enum class State { ready, atBlock, atWarp, atGroup, polling, done };

/// A product that a thread has asked for as one of its warpgroup (warpgroup.cpp): A in registers, or null and by a descriptor.
struct GroupProduct {
  float *c;
  const unsigned *a;
  uint64_t left, b;
  bool isMNMajor, adds;
};

struct Fibre {
  void *stackPointer = nullptr;
  Dim threadIdx;
  State state = State::ready;
  Warp *warp = nullptr;
  int lane = 0, parity = 0;
  std::vector<std::vector<Copy>> groups;
  std::vector<Copy> open;
  /// What it waits for where it is polling.
  bool (*isReady)(const void *, unsigned) = nullptr;
  const void *awaited = nullptr;
  unsigned awaitedValue = 0;
  bool isFenced = false;
  std::vector<GroupProduct> openProducts;
  std::vector<std::vector<GroupProduct>> products;
};

struct Kernel {
  const char *name, *precision;
  unsigned threads;
  void (*run)(void **parameters);
  Kernel(const char *name, const char *precision, unsigned threads, void (*run)(void **));
};

std::vector<const Kernel *> &kernels();

/// A fault that ends the launch: what a GPU would trap on, or hang in.
struct Fault {
  std::string what;
};

extern thread_local Fibre *current;
extern thread_local Dim blockIndex, blockSize, gridSize;
extern thread_local unsigned char *dynamicShared;
extern thread_local size_t dynamicBytes;

/// Runs all blocks one after another; throws a Fault.
void launch(const Kernel &kernel, Dim grid, Dim block, size_t sharedBytes, void **parameters);

void syncBlock();
/// Puts `mine` down and waits for the warp; what every lane put down.
const Deposit *exchange(const Deposit &mine);
/// Waits until `isReady` of these two.
void waitUntil(bool (*isReady)(const void *, unsigned), const void *awaited, unsigned value);
/// Waits for the 128 threads of the warpgroup; the last to come acts for all of them first, and a Fault of it ends the launch.
void syncGroup(void (*act)(Fibre *const *group, size_t value), size_t value);
/// What warpgroup.cpp does when a block begins, when no thread of it can go on, and when it has ended.
void beginWarpgroups();
bool landOneCopy();
std::string faultOfWarpgroups();
[[noreturn]] void fail(const std::string &what);
void copyLater(void *target, const void *source);
void closeGroup();
void landCopies(size_t pending);

} // namespace fake
