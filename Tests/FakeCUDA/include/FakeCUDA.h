/* A GPU that is none: functions with the names and signatures of the driver, NVRTC, cuBLASLt and NVML, whose launches run the kernels of
 * this tree, compiled by the host's compiler, with a fibre for each CUDA thread.
 *
 * Faults are told to the thread that asks for them, so that tests can run side by side. */
#ifndef FAKE_CUDA_H
#define FAKE_CUDA_H
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The function of that name; null where the fake has none, or where it is hidden. */
void *fake_symbol(const char *name);

/* This thread's GPU is again one device of 1 GiB that never fails. */
void fake_reset(void);
void fake_set_devices(int count);
void fake_set_memory(size_t bytes);
/* The driver counts its devices from this physical GPU on, as CUDA_VISIBLE_DEVICES makes it. */
void fake_show_devices_from(int physical);
/* What the energy counter of a physical GPU shows; 0 after a reset. */
void fake_set_energy(int physical, unsigned long long millijoules);
/* Every launch from now on moves the counter of the first GPU shown by so much. */
void fake_use_energy(unsigned long long millijoules);
/* GPUs have no energy counter, as those before Volta. */
void fake_have_no_energy(void);
/* The nth next call (1 is the next) of the function returns `code` and does nothing. */
void fake_fail(const char *name, int nth, int code);
/* Every call from now on but those that free memory and name errors returns `code`, as after a fault on the device. */
void fake_lose_device(int code);
/* Functions whose names begin so cannot be found. */
void fake_hide(const char *prefix);

/* What this thread has allocated and not freed, whoever freed it. */
int fake_live_allocations(void);
/* Modules, streams, events, contexts, uses of NVML and cuBLASLt objects that are not destroyed. */
int fake_live_objects(void);
/* Writes outside an allocation, found when it is freed or when asked. */
int fake_damaged_guards(void);
/* Launches of the kernel of that name by this thread; of all where it is null. */
int fake_launches(const char *kernel);
/* Why the last launch of this thread failed; empty where none did. */
const char *fake_fault(void);

/* The kernels that the host's compiler has: name and precision ("bf16" or "fp32"). */
int fake_kernel_count(void);
const char *fake_kernel_name(int index);
const char *fake_kernel_precision(int index);

#ifdef __cplusplus
}
#endif
#endif
