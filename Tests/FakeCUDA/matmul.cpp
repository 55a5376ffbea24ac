// cuBLASLt's part: D = alpha op(A) op(B) + beta C with any order, leading side and batch, summed in double.
#include "fake.h"
#include <cstring>
#include <vector>

namespace fake {
namespace {
struct Description {
  int compute, transposeA = 0, transposeB = 0;
};
struct Layout {
  int type;
  uint64_t rows, columns;
  int64_t leading, batchStride = 0;
  int order = 0, batch = 1;

  size_t at(uint64_t row, uint64_t column) const { return order == FG_ORDER_ROW ? row * leading + column : column * leading + row; }
};

template <class Object, class... Arguments> int make(void **handle, Arguments... arguments) {
  gpu.account->objects++;
  *handle = new Object{arguments...};
  return 0;
}
template <class Object> int drop(void *handle) {
  delete static_cast<Object *>(handle);
  gpu.account->objects--;
  return 0;
}

int create(void **handle) {
  if (int code = enter("cublasLtCreate")) return code;
  return make<int>(handle, 0);
}
size_t version() { return 130000; }
int describe(void **handle, int compute, int) { return make<Description>(handle, compute); }
int describeSet(void *handle, int attribute, const void *value, size_t bytes) {
  auto *d = static_cast<Description *>(handle);
  if (bytes != 4) return 7;
  if (attribute == FG_DESCRIPTION_TRANSPOSE_A) memcpy(&d->transposeA, value, 4);
  else if (attribute == FG_DESCRIPTION_TRANSPOSE_B) memcpy(&d->transposeB, value, 4);
  else return 7;
  return 0;
}
int layout(void **handle, int type, uint64_t rows, uint64_t columns, int64_t leading) {
  return make<Layout>(handle, type, rows, columns, leading);
}
int layoutSet(void *handle, int attribute, const void *value, size_t bytes) {
  auto *l = static_cast<Layout *>(handle);
  if (attribute == FG_LAYOUT_ORDER && bytes == 4) memcpy(&l->order, value, 4);
  else if (attribute == FG_LAYOUT_BATCH_COUNT && bytes == 4) memcpy(&l->batch, value, 4);
  else if (attribute == FG_LAYOUT_BATCH_STRIDE && bytes == 8) memcpy(&l->batchStride, value, 8);
  else return 7;
  return 0;
}
int prefer(void **handle) { return make<int>(handle, 0); }
int preferSet(void *, int, const void *, size_t) { return 0; }

/// Two candidates, so that there is a choice to measure.
int candidates(void *, void *, void *, void *, void *, void *, void *, int requested, fg_matmul_candidate *results, int *returned) {
  if (int code = enter("cublasLtMatmulAlgoGetHeuristic")) return code;
  *returned = requested < 2 ? requested : 2;
  for (int i = 0; i < *returned; i++) {
    memset(&results[i], 0, sizeof results[i]);
    results[i].algorithm[0] = 1 + i;
    results[i].workspaceBytes = 1024;
  }
  return 0;
}

/// To nearest, ties to even, with 10 explicit bits.
float tensorFloat(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  bits = (bits + 0xfff + (bits >> 13 & 1)) & 0xffffe000;
  memcpy(&x, &bits, 4);
  return x;
}
double read(const void *base, int type, size_t at, bool isRounded = false) {
  if (type == FG_TYPE_FP32) {
    float number = static_cast<const float *>(base)[at];
    return isRounded ? tensorFloat(number) : number;
  }
  uint32_t bits = (uint32_t)static_cast<const uint16_t *>(base)[at] << 16;
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
void write(void *base, int type, size_t at, double value) {
  float x = (float)value;
  if (type == FG_TYPE_FP32) {
    static_cast<float *>(base)[at] = x;
    return;
  }
  uint32_t bits;
  memcpy(&bits, &x, 4);
  static_cast<uint16_t *>(base)[at] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

int multiply(void *, void *description, const void *alpha, const void *a, void *aLayout, const void *b, void *bLayout,
             const void *beta, const void *c, void *cLayout, void *d, void *dLayout, const uint64_t *algorithm, void *workspace,
             size_t workspaceBytes, void *) {
  if (int code = enter("cublasLtMatmul")) return code;
  auto *t = static_cast<Description *>(description);
  auto *la = static_cast<Layout *>(aLayout), *lb = static_cast<Layout *>(bLayout), *lc = static_cast<Layout *>(cLayout),
       *ld = static_cast<Layout *>(dLayout);
  if (algorithm && algorithm[0] == gpu.failingCandidate) return 13;
  if (!algorithm || algorithm[0] < 1 || algorithm[0] > 2 || !workspace || workspaceBytes < 1024) return 7;
  uint64_t m = ld->rows, n = ld->columns, k = t->transposeA ? la->rows : la->columns;
  if ((t->transposeA ? la->columns : la->rows) != m || (t->transposeB ? lb->rows : lb->columns) != n ||
      (t->transposeB ? lb->columns : lb->rows) != k || lc->rows != m || lc->columns != n)
    return 7;
  for (auto *l : {la, lb, lc, ld})
    if (l->leading < (int64_t)(l->order == FG_ORDER_ROW ? l->columns : l->rows)) return 7;
  if (t->compute != FG_COMPUTE_FP32 && t->compute != FG_COMPUTE_TF32) return 15;
  bool isRounded = t->compute == FG_COMPUTE_TF32;
  double scale = *static_cast<const float *>(alpha), keep = *static_cast<const float *>(beta);
  std::vector<double> sum(n), row(k * n);
  for (int g = 0; g < ld->batch; g++) {
    for (uint64_t i = 0; i < k; i++)
      for (uint64_t j = 0; j < n; j++)
        row[i * n + j] = read(b, lb->type, g * lb->batchStride + (t->transposeB ? lb->at(j, i) : lb->at(i, j)), isRounded);
    for (uint64_t r = 0; r < m; r++) {
      for (auto &s : sum) s = 0;
      for (uint64_t i = 0; i < k; i++) {
        double w = read(a, la->type, g * la->batchStride + (t->transposeA ? la->at(i, r) : la->at(r, i)), isRounded);
        for (uint64_t j = 0; j < n; j++) sum[j] += w * row[i * n + j];
      }
      for (uint64_t j = 0; j < n; j++) {
        double old = keep == 0 ? 0 : keep * read(c, lc->type, g * lc->batchStride + lc->at(r, j));
        write(d, ld->type, g * ld->batchStride + ld->at(r, j), scale * sum[j] + old);
      }
    }
  }
  return 0;
}

const std::map<std::string, void *> functions = {
    {"cublasLtCreate", (void *)create}, {"cublasLtDestroy", (void *)drop<int>}, {"cublasLtGetVersion", (void *)version},
    {"cublasLtMatmulDescCreate", (void *)describe}, {"cublasLtMatmulDescDestroy", (void *)drop<Description>},
    {"cublasLtMatmulDescSetAttribute", (void *)describeSet}, {"cublasLtMatrixLayoutCreate", (void *)layout},
    {"cublasLtMatrixLayoutDestroy", (void *)drop<Layout>}, {"cublasLtMatrixLayoutSetAttribute", (void *)layoutSet},
    {"cublasLtMatmulPreferenceCreate", (void *)prefer}, {"cublasLtMatmulPreferenceDestroy", (void *)drop<int>},
    {"cublasLtMatmulPreferenceSetAttribute", (void *)preferSet}, {"cublasLtMatmulAlgoGetHeuristic", (void *)candidates},
    {"cublasLtMatmul", (void *)multiply}};
} // namespace

void *matmulSymbol(const std::string &name) {
  auto found = functions.find(name);
  return found == functions.end() ? nullptr : found->second;
}
} // namespace fake
