/* A GPU that is none: functions with the names and signatures of the driver, NVRTC, cuBLASLt, cuSPARSELt and NVML, whose launches run the kernels of
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
/* Its compute capability; 9.0 after a reset. */
void fake_set_capability(int major, int minor);
void fake_set_memory(size_t bytes);
/* The driver counts its devices from this physical GPU on, as CUDA_VISIBLE_DEVICES makes it. */
void fake_show_devices_from(int physical);
/* What the energy counter of a physical GPU shows; 0 after a reset. */
void fake_set_energy(int physical, unsigned long long millijoules);
/* Every launch from now on moves the counter of the first GPU shown by so much. */
void fake_use_energy(unsigned long long millijoules);
/* GPUs have no energy counter, as those before Volta. */
void fake_have_no_energy(void);
/* The nth next call (1 is the next) of the function, or launch of the kernel of that name, returns `code` and does nothing;
 * a launch that returns 719 loses the GPU. */
void fake_fail(const char *name, int nth, int code);
/* The version number that cuSPARSELt answers; 801, which is 0.8.1, after a reset. */
void fake_set_sparse_version(int version);
/* Events see so much time pass at each launch of a kernel and each product of cuSPARSELt, beside the host's; nobody waits for it. */
void fake_let_pass(double launchMilliseconds, double sparseMilliseconds);
/* This algorithm of cuSPARSELt, of three, leaves out the last column of W and takes no time; negative for none. */
void fake_falsify_sparse(int algorithm);
/* This candidate of cuBLASLt, 1 or 2, answers every product with status 13; 0 for none. */
void fake_fail_candidate(int candidate);
/* Every call from now on but those that free memory and name errors returns `code`, as after a fault on the device. */
void fake_lose_device(int code);
/* Functions whose names begin so cannot be found. */
void fake_hide(const char *prefix);

/* What this thread has allocated and not freed, whoever freed it. */
int fake_live_allocations(void);
/* Modules, streams, events, contexts, uses of NVML, cuBLASLt and cuSPARSELt objects that are not destroyed. */
int fake_live_objects(void);
/* Writes outside an allocation, found when it is freed or when asked. */
int fake_damaged_guards(void);
/* Launches of the kernel of that name by this thread; of all where it is null. */
int fake_launches(const char *kernel);
/* Calls of the function of that name by this thread. */
int fake_calls(const char *name);
/* Why the last launch of this thread failed; empty where none did. */
const char *fake_fault(void);

/* Products of warpgroups read the two distances of a descriptor the other way round: a GPU that is not as it was read to be. */
void fake_exchange_strides(int exchanges);
/* Where a block's dynamic shared memory begins in its window, a multiple of 128; 1024 after a reset. */
void fake_begin_shared_at(unsigned address);
/* Where a descriptor's matrix has row or column `mn` of step `k`, `bytes` bytes a number, in the window of shared memory. */
unsigned fake_operand_place(unsigned long long descriptor, int bytes, int isMNMajor, int mn, int k);
/* c [128, 32] += a b as a warpgroup does it: the fragments of its 128 threads, a [128, 4], and `bytes` bytes of shared memory from
 * address 1024 on. Nonzero where the descriptor leaves them. */
int fake_group_product(
    float *c, const unsigned *a, const void *shared, size_t bytes, unsigned long long descriptor, int isMNMajor);
/* The same with both operands in shared memory, K-major. */
int fake_group_product_of_shared(float *c, const void *shared, size_t bytes, unsigned long long a, unsigned long long b);
/* Copies the box of a tensor map that begins at this line and token to `shared`, which lies at address 1024. Nonzero where `map` is
 * none that the fake's driver made. */
int fake_copy_box(void *shared, const void *map, int line, int token);
/* A barrier of shared memory; an arrival at it that expects bytes, nonzero where none is awaited; bytes that land; whether the
 * phase of that parity has ended. */
unsigned long long fake_barrier(int arrivals);
int fake_barrier_arrive(unsigned long long *b, int expectedBytes);
void fake_barrier_complete(unsigned long long *b, int bytes);
int fake_barrier_has_ended(const unsigned long long *b, int parity);

/* The kernels that the host's compiler has: name and precision ("bf16" or "fp32"). */
int fake_kernel_count(void);
const char *fake_kernel_name(int index);
const char *fake_kernel_precision(int index);

#ifdef __cplusplus
}
#endif
#endif
