// What the fake's driver writes into a tensor map, which on a GPU is nobody's business but the hardware's.
#pragma once
#include "fake.h"
#include <cstring>

namespace fake {

/// A bf16 matrix of two dimensions, swizzled by 128 bytes.
struct TensorMap {
  static constexpr uint64_t mark = 0x6669627265206d61;
  uint64_t tag, address, sizes[2], stride;
  unsigned box[2];

  static TensorMap decoded(const fg_tensor_map &map) {
    TensorMap m;
    memcpy(&m, &map, sizeof m);
    if (m.tag != mark) throw Fault{"a box is copied through what is no tensor map"};
    return m;
  }
};
static_assert(sizeof(TensorMap) <= sizeof(fg_tensor_map), "a tensor map has 128 bytes");

} // namespace fake
