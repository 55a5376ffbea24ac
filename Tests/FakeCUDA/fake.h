// What the parts of the fake share: the calling thread's GPU, and how every function begins.
#pragma once
#include "CCUDA.h"
#include "FakeCUDA.h"
#include "fibre.h"
#include <atomic>
#include <map>
#include <memory>

namespace fake {

/// What a thread owes; allocations keep it, so that who frees does not matter.
struct Account {
  std::atomic<int> allocations{0}, objects{0}, damaged{0};
  std::atomic<size_t> bytes{0};
};

struct Gpu {
  struct Failure {
    int nth, code;
  };
  int devices = 1, lost = 0, major = 9, minor = 0;
  /// The first GPU that the driver shows, as CUDA_VISIBLE_DEVICES does.
  int firstVisible = 0;
  bool hasEnergy = true;
  /// cuBLASLt's candidate, 1 or 2, whose products fail; 0 for none.
  uint64_t failingCandidate = 0;
  /// cuSPARSELt: its version number, and which algorithm computes something else.
  int sparseVersion = 801, wrongAlgorithm = -1;
  /// What events see pass beside the host's time: so far, at each launch of a kernel, at each product of cuSPARSELt.
  double milliseconds = 0, launchMilliseconds = 0, sparseMilliseconds = 0;
  /// Products read the two distances of a descriptor the other way round.
  bool exchangesStrides = false;
  /// Where a block's dynamic shared memory begins in the window.
  unsigned sharedStart = 1024;
  unsigned long long millijoules[16] = {}, millijoulesPerLaunch = 0;
  size_t memory = size_t(1) << 30;
  std::string hidden, fault;
  std::map<std::string, Failure> failures;
  std::map<std::string, int> launches, calls;
  std::shared_ptr<Account> account = std::make_shared<Account>();
};

extern thread_local Gpu gpu;

/// The bus of the first physical GPU; the others follow.
constexpr unsigned firstBus = 0x1a;

/// The code that this call is to fail with; 0 for none.
int enter(const char *name);
void *driverSymbol(const std::string &name);
void *compilerSymbol(const std::string &name);
void *matmulSymbol(const std::string &name);
void *managementSymbol(const std::string &name);
void *sparseSymbol(const std::string &name);

} // namespace fake
