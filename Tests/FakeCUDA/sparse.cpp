// cuSPARSELt's part: D = alpha A B + beta C, A compressed from a matrix that has at most two of every four numbers in a row, summed in
// double from what was compressed. Objects lie in the caller's memory, of which version 0.8 has 512 bytes for each.
#include "fake.h"
#include <cstring>
#include <malloc.h>
#include <vector>

namespace fake {
namespace {

enum { invalid = 3, unsupported = 10 };
constexpr int algorithms = 3;

template <int kind> struct Object {
  static constexpr uint64_t mark = 0x6c7470617273ull << 8 | kind;
  uint64_t tag = mark;
};
struct Handle : Object<1> {};
struct Matrix : Object<2> {
  int64_t rows, columns, leading;
  bool isStructured;
};
struct Description : Object<3> {
  Matrix a, b, c;
};
struct Selection : Object<4> {
  int algorithm = 0;
  Description description;
};
struct Plan : Object<5> {
  Selection selection;
};

/// Null where the memory holds no such object, or one that is destroyed.
template <class Kind> Kind *as(void *memory) {
  auto *object = static_cast<Kind *>(memory);
  return object && object->tag == Kind::mark ? object : nullptr;
}
template <class Kind> int put(void *memory, const Kind &object, bool isCounted) {
  static_assert(sizeof(Kind) <= 512, "an object has 512 bytes");
  if (!memory || reinterpret_cast<uintptr_t>(memory) % 16) return invalid;
  memcpy(memory, &object, sizeof object);
  if (isCounted) gpu.account->objects++;
  return 0;
}
template <class Kind> int drop(void *memory) {
  auto *object = as<Kind>(memory);
  if (!object) return invalid;
  object->tag = 0;
  gpu.account->objects--;
  return 0;
}

#define ENTER(name)                                                                                                              \
  if (int code = enter(name)) return code

int init(void *handle) {
  ENTER("cusparseLtInit");
  // Before 0.7 a handle has 11024 bytes, which are written before anybody can ask for the version.
  if (gpu.sparseVersion < 700) {
    if (malloc_usable_size(handle) < 11024) return invalid;
    memset(handle, 0, 11024);
  }
  return put(handle, Handle(), true);
}
int version(void *handle, int *number) {
  ENTER("cusparseLtGetVersion");
  *number = gpu.sparseVersion;
  return as<Handle>(handle) ? 0 : invalid;
}
int matrix(void *handle, void *target, int64_t rows, int64_t columns, int64_t leading, uint32_t alignment, int type, int order,
           bool isStructured) {
  if (!as<Handle>(handle) || order != FG_SPARSE_ORDER_ROW || alignment % 16 || leading < columns || rows <= 0 || columns <= 0)
    return invalid;
  // Sides of 16-bit numbers are multiples of 16; the fake has no other type.
  if (type != FG_TYPE_BF16 || rows % 16 || columns % 16) return unsupported;
  Matrix m;
  m.rows = rows;
  m.columns = columns;
  m.leading = leading;
  m.isStructured = isStructured;
  return put(target, m, true);
}
int dense(void *handle, void *target, int64_t rows, int64_t columns, int64_t leading, uint32_t alignment, int type, int order) {
  ENTER("cusparseLtDenseDescriptorInit");
  return matrix(handle, target, rows, columns, leading, alignment, type, order, false);
}
int structured(void *handle, void *target, int64_t rows, int64_t columns, int64_t leading, uint32_t alignment, int type, int order,
               int sparsity) {
  ENTER("cusparseLtStructuredDescriptorInit");
  return sparsity == FG_SPARSE_HALF ? matrix(handle, target, rows, columns, leading, alignment, type, order, true) : invalid;
}
int describe(void *handle, void *target, int operationA, int operationB, void *a, void *b, void *c, void *d, int compute) {
  ENTER("cusparseLtMatmulDescriptorInit");
  auto *ma = as<Matrix>(a), *mb = as<Matrix>(b), *mc = as<Matrix>(c), *md = as<Matrix>(d);
  if (!as<Handle>(handle) || !ma || !mb || !mc || !md || !ma->isStructured || mb->isStructured) return invalid;
  if (operationA != FG_SPARSE_AS_IT_IS || operationB != FG_SPARSE_AS_IT_IS || compute != FG_SPARSE_COMPUTE_FP32) return unsupported;
  if (ma->columns != mb->rows || ma->rows != mc->rows || mb->columns != mc->columns || memcmp(mc, md, sizeof *mc)) return invalid;
  Description t;
  t.a = *ma;
  t.b = *mb;
  t.c = *mc;
  return put(target, t, false);
}
int select(void *handle, void *target, void *description, int algorithm) {
  ENTER("cusparseLtMatmulAlgSelectionInit");
  auto *t = as<Description>(description);
  if (!as<Handle>(handle) || !t || algorithm != FG_SPARSE_DEFAULT) return invalid;
  Selection s;
  s.description = *t;
  return put(target, s, gpu.sparseVersion >= 800);
}
int selectionSet(void *, void *selection, int attribute, const void *data, size_t bytes) {
  ENTER("cusparseLtMatmulAlgSetAttribute");
  auto *s = as<Selection>(selection);
  int number;
  if (!s || attribute != FG_SELECTION_ALGORITHM || bytes != 4) return invalid;
  memcpy(&number, data, 4);
  if (number < 0 || number >= algorithms) return invalid;
  s->algorithm = number;
  return 0;
}
int selectionGet(void *, void *selection, int attribute, void *data, size_t bytes) {
  ENTER("cusparseLtMatmulAlgGetAttribute");
  if (!as<Selection>(selection) || attribute != FG_SELECTION_ALGORITHMS || bytes != 4) return invalid;
  memcpy(data, &algorithms, 4);
  return 0;
}
int plan(void *handle, void *target, void *description, void *selection) {
  ENTER("cusparseLtMatmulPlanInit");
  auto *s = as<Selection>(selection);
  if (!as<Handle>(handle) || !as<Description>(description) || !s) return invalid;
  Plan p;
  p.selection = *s;
  return put(target, p, true);
}
int workspace(void *, void *plan, size_t *bytes) {
  ENTER("cusparseLtMatmulGetWorkspace");
  *bytes = 512;
  return as<Plan>(plan) ? 0 : invalid;
}

/// The values of a row, two of every four, then for each its place among the four.
size_t compressedSize(const Matrix &a) { return a.rows * (a.columns / 2) * 3; }

int compressedBytes(void *handle, void *matrix, size_t *bytes, size_t *beside) {
  ENTER("cusparseLtSpMMACompressedSize2");
  auto *a = as<Matrix>(matrix);
  if (!as<Handle>(handle) || !a || !a->isStructured) return invalid;
  *bytes = compressedSize(*a);
  *beside = 256;
  return 0;
}
int compress(void *handle, void *matrix, int isA, int operation, const void *dense, void *compressed, void *beside, void *) {
  ENTER("cusparseLtSpMMACompress2");
  auto *a = as<Matrix>(matrix);
  if (!as<Handle>(handle) || !a || !a->isStructured || !isA || operation != FG_SPARSE_AS_IT_IS || !dense || !compressed) return invalid;
  memset(beside, 0xee, 256);
  auto *values = static_cast<uint16_t *>(compressed);
  auto *places = reinterpret_cast<uint8_t *>(values + a->rows * (a->columns / 2));
  for (int64_t r = 0; r < a->rows; r++)
    for (int64_t four = 0; four < a->columns / 4; four++) {
      auto *source = static_cast<const uint16_t *>(dense) + r * a->leading + 4 * four;
      int kept = 0;
      size_t at = r * (a->columns / 2) + 2 * four;
      for (int place = 0; place < 4; place++) {
        if ((source[place] & 0x7fff) == 0) continue;
        // What the library makes of more than two is not said; here it is a fault to be found.
        if (kept == 2) return invalid;
        values[at + kept] = source[place];
        places[at + kept++] = place;
      }
      for (; kept < 2; kept++) {
        values[at + kept] = 0;
        places[at + kept] = 0;
      }
    }
  return 0;
}

double number(uint16_t bits) {
  uint32_t word = (uint32_t)bits << 16;
  float x;
  memcpy(&x, &word, 4);
  return x;
}
uint16_t rounded(double value) {
  float x = (float)value;
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

int multiply(void *handle, void *plan, const void *alpha, const void *a, const void *b, const void *beta, const void *c, void *d,
             void *workspace, void **streams, int32_t count) {
  ENTER("cusparseLtMatmul");
  auto *p = as<Plan>(plan);
  if (!as<Handle>(handle) || !p || !a || !b || !d || !workspace || count != 1 || !streams || !streams[0]) return invalid;
  if ((reinterpret_cast<uintptr_t>(a) | reinterpret_cast<uintptr_t>(b) | reinterpret_cast<uintptr_t>(c) | reinterpret_cast<uintptr_t>(d)) % 16)
    return invalid;
  gpu.launches["cusparseLtMatmul"]++;
  memset(workspace, 0xee, 512);
  const Description &t = p->selection.description;
  int64_t rows = t.a.rows, held = t.a.columns / 2, tokens = t.b.columns;
  auto *values = static_cast<const uint16_t *>(a);
  auto *places = reinterpret_cast<const uint8_t *>(values + rows * held);
  bool isWrong = p->selection.algorithm == gpu.wrongAlgorithm;
  double scale = *static_cast<const float *>(alpha), keep = *static_cast<const float *>(beta);
  std::vector<double> sum(tokens);
  for (int64_t r = 0; r < rows; r++) {
    for (auto &s : sum) s = 0;
    for (int64_t q = 0; q < held; q++) {
      int64_t column = q / 2 * 4 + places[r * held + q];
      if (isWrong && column == t.a.columns - 1) continue;
      double w = number(values[r * held + q]);
      auto *x = static_cast<const uint16_t *>(b) + column * t.b.leading;
      for (int64_t i = 0; i < tokens; i++) sum[i] += w * number(x[i]);
    }
    auto *old = static_cast<const uint16_t *>(c) + r * t.c.leading;
    auto *result = static_cast<uint16_t *>(d) + r * t.c.leading;
    for (int64_t i = 0; i < tokens; i++) result[i] = rounded(scale * sum[i] + (keep == 0 ? 0 : keep * number(old[i])));
  }
  // The wrong one is the fastest, so that it is the first to be looked at.
  if (!isWrong) gpu.milliseconds += gpu.sparseMilliseconds;
  return 0;
}

const std::map<std::string, void *> functions = {
    {"cusparseLtInit", (void *)init}, {"cusparseLtDestroy", (void *)drop<Handle>}, {"cusparseLtGetVersion", (void *)version},
    {"cusparseLtDenseDescriptorInit", (void *)dense}, {"cusparseLtStructuredDescriptorInit", (void *)structured},
    {"cusparseLtMatDescriptorDestroy", (void *)drop<Matrix>}, {"cusparseLtMatmulDescriptorInit", (void *)describe},
    {"cusparseLtMatmulAlgSelectionInit", (void *)select}, {"cusparseLtMatmulAlgSelectionDestroy", (void *)drop<Selection>},
    {"cusparseLtMatmulAlgSetAttribute", (void *)selectionSet}, {"cusparseLtMatmulAlgGetAttribute", (void *)selectionGet},
    {"cusparseLtMatmulPlanInit", (void *)plan}, {"cusparseLtMatmulPlanDestroy", (void *)drop<Plan>},
    {"cusparseLtMatmulGetWorkspace", (void *)workspace}, {"cusparseLtMatmul", (void *)multiply},
    {"cusparseLtSpMMACompressedSize2", (void *)compressedBytes}, {"cusparseLtSpMMACompress2", (void *)compress}};
} // namespace

void *sparseSymbol(const std::string &name) {
  if (name == "cusparseLtMatmulAlgSelectionDestroy" && gpu.sparseVersion < 800) return nullptr;
  auto found = functions.find(name);
  return found == functions.end() ? nullptr : found->second;
}
} // namespace fake
