// What a library of cases.c offers to turns.c.
#ifndef FILIGREE_CASES_H
#define FILIGREE_CASES_H

#include <stddef.h>

typedef struct filigree_case {
  const char *name;
  int countsBytes;      // what `run` returns: bytes of weights read, or floating-point operations
  double (*run)(void);  // one call
} filigree_case;

// The first is the peak that the others are held to.
extern const filigree_case *filigree_cases;
extern const int filigree_case_count;
const char *filigree_isa(void);
// How much memory the operands take, and they in it: of every library at the same places, with the same contents.
size_t filigree_floats(void);
void filigree_prepare(float *memory);
// What disagrees with its definition in double, or NULL.
const char *filigree_wrong(void);

#endif
