// turns LIBRARY...: the cases of each library (see cases.h) take turns, call by call; a table on standard output. The second
// library should be a copy of the first: how far their ratio is from 1 is what the others' ratios can be trusted to.
//
// The processor's state changes within seconds here and there, so every case is timed in every state, and the table has the
// tenth, half and nine tenths of its samples instead of one number.
#define _GNU_SOURCE
#include "cases.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { ROUNDS = 801, MOST_LIBRARIES = 8, MOST_CASES = 16, LARGE_PAGE = 1 << 21 };

typedef struct {
  const char *name;
  const filigree_case *cases;
  double rate[MOST_CASES][ROUNDS];
} library;

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *symbol(void *handle, const char *name) {
  void *found = dlsym(handle, name);
  if (!found) {
    fprintf(stderr, "turns: %s\n", dlerror());
    exit(1);
  }
  return found;
}

static int byValue(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int count, char **arguments) {
  static library libraries[MOST_LIBRARIES];
  int given = count - 1, cases = 0;
  if (given < 1 || given > MOST_LIBRARIES) {
    fprintf(stderr, "turns: give 1 to %d libraries of cases.c\n", MOST_LIBRARIES);
    return 1;
  }
  // One core for all: wherever this runs now.
  cpu_set_t core;
  CPU_ZERO(&core);
  CPU_SET(sched_getcpu(), &core);
  sched_setaffinity(0, sizeof core, &core);
  const char *isa = "";
  float *memory = NULL;
  for (int l = 0; l < given; l++) {
    void *handle = dlopen(arguments[l + 1], RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
      fprintf(stderr, "turns: %s\n", dlerror());
      return 1;
    }
    const char *slash = strrchr(arguments[l + 1], '/');
    libraries[l].name = slash ? slash + 1 : arguments[l + 1];
    libraries[l].cases = *(const filigree_case **)symbol(handle, "filigree_cases");
    cases = *(const int *)symbol(handle, "filigree_case_count");
    if (cases > MOST_CASES) abort();
    if (!memory) {
      const size_t bytes = ((size_t (*)(void))symbol(handle, "filigree_floats"))() * sizeof(float);
      const size_t whole = (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
      memory = aligned_alloc(LARGE_PAGE, whole);
      if (!memory) {
        fprintf(stderr, "turns: %zu bytes of memory cannot be had\n", whole);
        return 1;
      }
      // As the device's: address translation is spared. Where the system has no large pages, small ones do.
      madvise(memory, whole, MADV_HUGEPAGE);
    }
    ((void (*)(float *))symbol(handle, "filigree_prepare"))(memory);
    const char *wrong = ((const char *(*)(void))symbol(handle, "filigree_wrong"))();
    if (wrong) {
      fprintf(stderr, "turns: %s of %s disagrees with its definition\n", wrong, libraries[l].name);
      return 1;
    }
    isa = ((const char *(*)(void))symbol(handle, "filigree_isa"))();
  }
  for (int round = 0; round < ROUNDS; round++) {
    for (int c = 0; c < cases; c++) {
      for (int i = 0; i < given; i++) {
        library *l = &libraries[(round + i) % given];
        // The other cases have driven its operands away.
        l->cases[c].run();
        double done = 0, took = 0;
        const double begin = seconds();
        do {
          done += l->cases[c].run();
          took = seconds() - begin;
        } while (took < 50e-6);
        l->rate[c][round] = done / took;
      }
    }
  }
  printf("%s, %d rounds, every case of every library in turn.\n\n", isa, ROUNDS);
  printf("| case | kernels | unit | tenth | half | nine tenths | half, of the peak | half, over the first kernels |\n");
  printf("|---|---|---|---|---|---|---|---|\n");
  double peak = 0;
  for (int c = 0; c < cases; c++) {
    static double ratio[MOST_LIBRARIES][ROUNDS];
    for (int l = 0; l < given; l++) {
      for (int r = 0; r < ROUNDS; r++) ratio[l][r] = libraries[l].rate[c][r] / libraries[0].rate[c][r];
    }
    for (int l = 0; l < given; l++) {
      double *rate = libraries[l].rate[c];
      qsort(rate, ROUNDS, sizeof *rate, byValue);
      qsort(ratio[l], ROUNDS, sizeof(double), byValue);
      const double half = rate[ROUNDS / 2];
      if (c == 0 && l == 0) peak = half;
      const int bytes = libraries[l].cases[c].countsBytes;
      printf("| %s | %s | %s | %.1f | %.1f | %.1f | ", libraries[l].cases[c].name, libraries[l].name,
             bytes ? "GB/s" : "GFLOP/s", rate[ROUNDS / 10] * 1e-9, half * 1e-9, rate[ROUNDS * 9 / 10] * 1e-9);
      if (bytes) printf("- | ");
      else printf("%.2f | ", half / peak);
      printf("%.3f |\n", ratio[l][ROUNDS / 2]);
    }
  }
  return 0;
}
