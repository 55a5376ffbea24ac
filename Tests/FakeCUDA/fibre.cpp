#include "fibre.h"
#include <cstdlib>
#include <cstring>
#include <memory>

// Saves the registers that a call keeps, and the stack pointer at *save; goes on where `load` was saved.
extern "C" void fake_switch(void **save, void *load);
#if defined(__x86_64__)
asm(R"(
.text
.globl fake_switch
.type fake_switch,@function
fake_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size fake_switch,.-fake_switch
)");
static constexpr size_t savedWords = 7;
static constexpr size_t returnWord = 6;
#elif defined(__aarch64__)
asm(R"(
.text
.globl fake_switch
.type fake_switch,%function
fake_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size fake_switch,.-fake_switch
)");
static constexpr size_t savedWords = 20;
static constexpr size_t returnWord = 11;
#else
#error "the fibres know x86-64 and arm64"
#endif

namespace fake {

thread_local Fibre *current = nullptr;
thread_local Dim blockIndex, blockSize, gridSize;
thread_local unsigned char *dynamicShared = nullptr;
thread_local size_t dynamicBytes = 0;

namespace {
constexpr size_t stackBytes = 64 << 10;
constexpr size_t guardBytes = 4096;
constexpr unsigned char guardMark = 0xa5;

/// One thread's fibres, kept for the next launch.
struct Machine {
  std::vector<Fibre> fibres;
  std::vector<Warp> warps;
  std::unique_ptr<unsigned char[]> stacks;
  size_t stackCount = 0;
  void *scheduler = nullptr;
  int atBlock = 0, live = 0;
  std::string fault;
  const Kernel *kernel = nullptr;
  void **parameters = nullptr;
};
thread_local Machine machine;

void yield() { fake_switch(&current->stackPointer, machine.scheduler); }

extern "C" void fake_begin() {
  machine.kernel->run(machine.parameters);
  Fibre *me = current;
  me->state = State::done;
  machine.live--;
  me->warp->live--;
  yield();
  abort();
}

void prepare(Fibre &f, unsigned char *stack) {
  // The stack pointer is 16-byte aligned before the call that fake_switch's return stands for.
  auto top = reinterpret_cast<uintptr_t>(stack + stackBytes) & ~uintptr_t(15);
#if defined(__x86_64__)
  top -= 8;
#endif
  auto *words = reinterpret_cast<void **>(top) - savedWords;
  memset(words, 0, savedWords * sizeof(void *));
  words[returnWord] = reinterpret_cast<void *>(&fake_begin);
  f.stackPointer = words;
  f.state = State::ready;
  f.parity = 0;
  f.groups.clear();
  f.open.clear();
  f.isFenced = false;
  f.openProducts.clear();
  f.products.clear();
}

void release(State from, Warp *warp) {
  for (auto &f : machine.fibres)
    if (f.state == from && (!warp || f.warp == warp)) f.state = State::ready;
}

void runBlock(unsigned threads) {
  machine.live = threads;
  machine.atBlock = 0;
  beginWarpgroups();
  for (auto &w : machine.warps) w.arrived = w.live = 0;
  for (unsigned i = 0; i < threads; i++) {
    prepare(machine.fibres[i], machine.stacks.get() + i * stackBytes);
    machine.fibres[i].warp->live++;
  }
  while (machine.live > 0) {
    bool moved = false;
    for (unsigned i = 0; i < threads; i++) {
      Fibre &f = machine.fibres[i];
      if (f.state == State::polling && f.isReady(f.awaited, f.awaitedValue)) f.state = State::ready;
      if (f.state != State::ready) continue;
      moved = true;
      current = &f;
      fake_switch(&machine.scheduler, f.stackPointer);
      if (!machine.fault.empty()) return;
      // A thread that has ended no longer holds up a barrier.
      if (machine.live > 0 && machine.atBlock == machine.live) {
        machine.atBlock = 0;
        release(State::atBlock, nullptr);
      }
    }
    if (!moved && !landOneCopy()) {
      machine.fault = "threads wait for one another for ever";
      return;
    }
  }
  machine.fault = faultOfWarpgroups();
}
} // namespace

std::vector<const Kernel *> &kernels() {
  static std::vector<const Kernel *> all;
  return all;
}

Kernel::Kernel(const char *name, const char *precision, unsigned threads, void (*run)(void **))
    : name(name), precision(precision), threads(threads), run(run) {
  kernels().push_back(this);
}

void fail(const std::string &what) {
  machine.fault = what;
  yield();
  abort();
}

void syncBlock() {
  current->state = State::atBlock;
  machine.atBlock++;
  yield();
}

const Deposit *exchange(const Deposit &mine) {
  Fibre *me = current;
  Warp *warp = me->warp;
  int parity = me->parity;
  me->parity ^= 1;
  warp->deposits[parity][me->lane] = mine;
  if (++warp->arrived == 32) {
    warp->arrived = 0;
    release(State::atWarp, warp);
  } else {
    if (warp->live < 32) fail("a warp's collective is called when some of its lanes have ended");
    me->state = State::atWarp;
    yield();
  }
  return warp->deposits[parity];
}

void waitUntil(bool (*isReady)(const void *, unsigned), const void *awaited, unsigned value) {
  if (isReady(awaited, value)) return;
  Fibre *me = current;
  me->isReady = isReady;
  me->awaited = awaited;
  me->awaitedValue = value;
  me->state = State::polling;
  yield();
}

void syncGroup(void (*act)(Fibre *const *group, size_t value), size_t value) {
  Fibre *me = current, *group[128];
  size_t first = (me - machine.fibres.data()) / 128 * 128;
  int arrived = 0;
  if (first + 128 > machine.fibres.size()) fail("a warpgroup has not 128 threads");
  for (int i = 0; i < 128; i++) {
    group[i] = &machine.fibres[first + i];
    arrived += group[i]->state == State::atGroup;
  }
  if (arrived < 127) {
    me->state = State::atGroup;
    yield();
    return;
  }
  std::string what;
  try {
    act(group, value);
  } catch (const Fault &fault) {
    what = fault.what;
  }
  if (!what.empty()) fail(what);
  for (auto *f : group)
    if (f->state == State::atGroup) f->state = State::ready;
}

void copyLater(void *target, const void *source) {
  if ((reinterpret_cast<uintptr_t>(target) | reinterpret_cast<uintptr_t>(source)) & 15) fail("an asynchronous copy is not aligned to 16 bytes");
  current->open.push_back({target, source});
}

void closeGroup() {
  current->groups.push_back(std::move(current->open));
  current->open.clear();
}

void landCopies(size_t pending) {
  auto &groups = current->groups;
  if (groups.size() <= pending) return;
  size_t landing = groups.size() - pending;
  for (size_t i = 0; i < landing; i++)
    for (auto &copy : groups[i]) memcpy(copy.target, copy.source, 16);
  groups.erase(groups.begin(), groups.begin() + landing);
}

void launch(const Kernel &kernel, Dim grid, Dim block, size_t sharedBytes, void **parameters) {
  unsigned threads = block.x * block.y * block.z;
  if (threads == 0 || threads > kernel.threads || threads % 32) throw Fault{"the block has not the threads the kernel is compiled for"};
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535) throw Fault{"the grid's sides are out of range"};
  if (machine.stackCount < threads) {
    machine.stacks.reset(new unsigned char[threads * stackBytes]);
    machine.stackCount = threads;
    machine.fibres.resize(threads);
    machine.warps.resize(threads / 32);
  }
  for (unsigned i = 0; i < threads; i++) {
    machine.fibres[i].threadIdx = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
    machine.fibres[i].warp = &machine.warps[i / 32];
    machine.fibres[i].lane = i % 32;
  }
  for (size_t i = threads; i < machine.fibres.size(); i++) machine.fibres[i].state = State::done;
  machine.kernel = &kernel;
  machine.parameters = parameters;
  machine.fault.clear();
  std::vector<unsigned char> shared(sharedBytes + guardBytes + 128);
  auto *start = shared.data() + (128 - reinterpret_cast<uintptr_t>(shared.data()) % 128) % 128;
  dynamicShared = start;
  dynamicBytes = sharedBytes;
  blockSize = block;
  gridSize = grid;
  memset(start + sharedBytes, guardMark, guardBytes);
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++) {
        blockIndex = {x, y, z};
        memset(start, 0xff, sharedBytes);
        runBlock(threads);
        for (size_t i = 0; i < guardBytes && machine.fault.empty(); i++)
          if (start[sharedBytes + i] != guardMark) machine.fault = "a block wrote beyond its shared memory";
        if (!machine.fault.empty()) throw Fault{std::string(kernel.name) + ": " + machine.fault};
      }
}

} // namespace fake
