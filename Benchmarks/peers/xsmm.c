// libxsmm's just-in-time kernels driven by hand for block-sparse weights: its batch-reduce product of small matrices.
// Activations of the forward pass are feature-major pieces of TOKENS tokens; libxsmm's matrices are column-major.
#include <libxsmm.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 64, MOST_BLOCKS = 4096 };

// y[piece][o][t] = sum over blocks of W x[piece][i][t], TOKENS tokens a piece; values [blocks][side][side] row-major.
int xsmm_forward(int side, int outputs, int inputs, int tokens, const int *rowStart, const int *column,
                 const float *values, const float *x, float *y) {
  const libxsmm_blasint m = TOKENS, n = side, k = side, lda = TOKENS, ldb = side, ldc = TOKENS;
  const float alpha = 1, beta = 0;
  const libxsmm_smmfunction_reducebatch_addr kernel =
      libxsmm_smmdispatch_reducebatch_addr(m, n, k, &lda, &ldb, &ldc, &alpha, &beta, NULL, NULL);
  if (!kernel || tokens % TOKENS != 0 || inputs / side > MOST_BLOCKS) return -1;
  for (int piece = 0; piece < tokens / TOKENS; piece++) {
    for (int row = 0; row < outputs / side; row++) {
      const float *a[MOST_BLOCKS], *b[MOST_BLOCKS];
      unsigned long long count = 0;
      for (int e = rowStart[row]; e < rowStart[row + 1]; e++, count++) {
        a[count] = x + ((size_t)piece * inputs + (size_t)column[e] * side) * TOKENS;
        b[count] = values + (size_t)e * side * side;
      }
      float *lines = y + ((size_t)piece * outputs + (size_t)row * side) * TOKENS;
      // A sum of no products is not written by the kernel.
      if (count == 0) memset(lines, 0, sizeof(float) * (size_t)side * TOKENS);
      else kernel(a, b, lines, &count);
    }
  }
  return 0;
}

// dvalues[block] = dy' x on the blocks: x token-major [T][inputs], dy feature-major in pieces [piece][outputs][TOKENS].
int xsmm_weight_gradient(int side, int outputs, int inputs, int tokens, const int *rowStart, const int *column,
                         const float *x, const float *dy, float *dvalues) {
  const libxsmm_blasint m = side, n = side, k = TOKENS, lda = inputs, ldb = TOKENS, ldc = side;
  const float alpha = 1, beta = 0;
  const libxsmm_smmfunction_reducebatch_addr kernel =
      libxsmm_smmdispatch_reducebatch_addr(m, n, k, &lda, &ldb, &ldc, &alpha, &beta, NULL, NULL);
  if (!kernel || tokens % TOKENS != 0 || tokens / TOKENS > MOST_BLOCKS) return -1;
  for (int row = 0; row < outputs / side; row++) {
    for (int e = rowStart[row]; e < rowStart[row + 1]; e++) {
      const float *a[MOST_BLOCKS], *b[MOST_BLOCKS];
      unsigned long long count = tokens / TOKENS;
      for (int piece = 0; piece < (int)count; piece++) {
        a[piece] = x + (size_t)piece * TOKENS * inputs + (size_t)column[e] * side;
        b[piece] = dy + ((size_t)piece * outputs + (size_t)row * side) * TOKENS;
      }
      kernel(a, b, dvalues + (size_t)e * side * side, &count);
    }
  }
  return 0;
}
