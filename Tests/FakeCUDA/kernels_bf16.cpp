// Every kernel of the tree with bf16 elements, one namespace a file.
#define FAKE_PRECISION "bf16"
#define ELEMENT_BF16
#include "host.h"
#include "../../Sources/CCUDA/kernels/element.cuh"
#include "../../Sources/CCUDA/kernels/tensor.cuh"
#include "../../Sources/CCUDA/kernels/warpgroup.cuh"

#pragma clang diagnostic ignored "-Wunused-function"

namespace attentionTensor {
#include "../../Sources/CCUDA/kernels/attention_tensor.cu"
#include "../../Sources/CCUDA/kernels/attention_tensor_gradient.cu"
} // namespace attentionTensor

#undef TILE
#undef STRIDE
namespace attention {
#include "../../Sources/CCUDA/kernels/attention.cu"
} // namespace attention
#undef KEYS
#undef QUERIES
namespace embedding {
#include "../../Sources/CCUDA/kernels/embedding.cu"
} // namespace embedding
namespace grid {
#include "../../Sources/CCUDA/kernels/grid.cu"
} // namespace grid
#undef STEP
#undef TILE
namespace gridTensor {
#include "../../Sources/CCUDA/kernels/grid_tensor.cu"
} // namespace gridTensor
#undef WEIGHT_STRIDE
#undef DEPTH
#undef PAD
#undef TOKENS
namespace gridTensorGradient {
#include "../../Sources/CCUDA/kernels/grid_tensor_gradient.cu"
} // namespace gridTensorGradient
#undef DEPTH
#undef STRIDE
namespace gridTensorShared {
#include "../../Sources/CCUDA/kernels/grid_tensor_shared.cu"
} // namespace gridTensorShared
#undef WEIGHT_STRIDE
#undef DEPTH
#undef PAD
#undef TOKENS
#undef HEIGHT
namespace gridTensorGradientShared {
#include "../../Sources/CCUDA/kernels/grid_tensor_gradient_shared.cu"
} // namespace gridTensorGradientShared
#undef DEPTH
#undef STRIDE
#undef WIDTH
namespace gridWarpgroup {
#include "../../Sources/CCUDA/kernels/grid_warpgroup.cu"
} // namespace gridWarpgroup
#undef TOKENS
#undef STRIPS
#undef SIDE
#undef PIECE
#undef LINE
#undef SLOT
#undef NOTHING_MORE
namespace gridWarpgroupGradient {
#include "../../Sources/CCUDA/kernels/grid_warpgroup_gradient.cu"
} // namespace gridWarpgroupGradient
#undef SIDE
#undef BOX
#undef PIECES
#undef STRIPS
#undef RECORD
namespace layout {
#include "../../Sources/CCUDA/kernels/layout.cu"
} // namespace layout
#undef EACH
namespace limits {
#include "../../Sources/CCUDA/kernels/limits.cu"
#include "../../Sources/CCUDA/kernels/limits_warpgroup.cu"
} // namespace limits
namespace loss {
#include "../../Sources/CCUDA/kernels/loss.cu"
} // namespace loss
#undef SLICE
namespace norm {
#include "../../Sources/CCUDA/kernels/norm.cu"
} // namespace norm
namespace optimizer {
#include "../../Sources/CCUDA/kernels/optimizer.cu"
} // namespace optimizer
#undef EACH
namespace pointwise {
#include "../../Sources/CCUDA/kernels/pointwise.cu"
} // namespace pointwise
#undef EACH_PAIR
namespace rows {
#include "../../Sources/CCUDA/kernels/rows.cu"
} // namespace rows
#undef LINE
namespace runsTensor {
#include "../../Sources/CCUDA/kernels/runs_tensor.cu"
} // namespace runsTensor
#undef DEPTH
#undef PAD
#undef TOKENS
#undef KEPT
namespace runsTensorGradient {
#include "../../Sources/CCUDA/kernels/runs_tensor_gradient.cu"
} // namespace runsTensorGradient
