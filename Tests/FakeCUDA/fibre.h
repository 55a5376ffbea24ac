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

enum class State { ready, atBlock, atWarp, done };

struct Fibre {
  void *stackPointer = nullptr;
  Dim threadIdx;
  State state = State::ready;
  Warp *warp = nullptr;
  int lane = 0, parity = 0;
  std::vector<std::vector<Copy>> groups;
  std::vector<Copy> open;
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

/// Runs all blocks one after another; throws a Fault.
void launch(const Kernel &kernel, Dim grid, Dim block, size_t sharedBytes, void **parameters);

void syncBlock();
/// Puts `mine` down and waits for the warp; what every lane put down.
const Deposit *exchange(const Deposit &mine);
[[noreturn]] void fail(const std::string &what);
void copyLater(void *target, const void *source);
void closeGroup();
void landCopies(size_t pending);

} // namespace fake
