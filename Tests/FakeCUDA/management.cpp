// NVML of a GPU that is none: a counter for each physical GPU, which stands still until a test moves it. It knows GPUs by
// their bus alone: the driver's numbers are those of the GPUs that the process sees.
#include "fake.h"
#include <cstdio>
#include <cstring>

namespace fake {

namespace {
struct Meter {
  int physical;
};
Meter meters[16] = {{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}, {10}, {11}, {12}, {13}, {14}, {15}};

#define ENTER(name)                                                                                                              \
  if (int code = enter(name)) return code

int start() {
  ENTER("nvmlInit_v2");
  gpu.account->objects++;
  return 0;
}
int stop() {
  gpu.account->objects--;
  return 0;
}
int driverVersion(char *text, unsigned length) {
  ENTER("nvmlSystemGetDriverVersion");
  snprintf(text, length, "580.00");
  return 0;
}
int byBus(const char *text, void **device) {
  ENTER("nvmlDeviceGetHandleByPciBusId_v2");
  unsigned domain, bus, slot, function;
  if (sscanf(text, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4 || domain || slot || function) return 2;
  if (bus < firstBus || bus >= firstBus + 16) return 6;
  *device = &meters[bus - firstBus];
  return 0;
}
int totalEnergy(void *device, unsigned long long *millijoules) {
  ENTER("nvmlDeviceGetTotalEnergyConsumption");
  // NVML_ERROR_NOT_SUPPORTED
  if (!gpu.hasEnergy) return 3;
  *millijoules = gpu.millijoules[static_cast<Meter *>(device)->physical];
  return 0;
}

const std::map<std::string, void *> functions = {
    {"nvmlInit_v2", (void *)start}, {"nvmlShutdown", (void *)stop}, {"nvmlSystemGetDriverVersion", (void *)driverVersion},
    {"nvmlDeviceGetHandleByPciBusId_v2", (void *)byBus}, {"nvmlDeviceGetTotalEnergyConsumption", (void *)totalEnergy}};
} // namespace

void *managementSymbol(const std::string &name) {
  auto found = functions.find(name);
  return found == functions.end() ? nullptr : found->second;
}

} // namespace fake

extern "C" {
void fake_show_devices_from(int physical) { fake::gpu.firstVisible = physical; }
void fake_set_energy(int physical, unsigned long long millijoules) { fake::gpu.millijoules[physical & 15] = millijoules; }
void fake_use_energy(unsigned long long millijoules) { fake::gpu.millijoulesPerLaunch = millijoules; }
void fake_have_no_energy(void) { fake::gpu.hasEnergy = false; }
}
