/* The kernels' text inside the program: a static binary needs no file beside it. */
#include "CCUDA.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char arguments[] = {
#embed "include/arguments.h"
    , 0};
static const unsigned char element[] = {
#embed "kernels/element.cuh"
    , 0};
static const unsigned char tensor[] = {
#embed "kernels/tensor.cuh"
    , 0};
static const unsigned char warpgroup[] = {
#embed "kernels/warpgroup.cuh"
    , 0};
static const unsigned char attentionTile[] = {
#embed "kernels/attention_tile.cuh"
    , 0};
static const unsigned char attention[] = {
#embed "kernels/attention.cu"
    , 0};
static const unsigned char attentionTensor[] = {
#embed "kernels/attention_tensor.cu"
    , 0};
static const unsigned char attentionTensorGradient[] = {
#embed "kernels/attention_tensor_gradient.cu"
    , 0};
static const unsigned char embedding[] = {
#embed "kernels/embedding.cu"
    , 0};
static const unsigned char grid[] = {
#embed "kernels/grid.cu"
    , 0};
static const unsigned char gridTensor[] = {
#embed "kernels/grid_tensor.cu"
    , 0};
static const unsigned char gridTensorGradient[] = {
#embed "kernels/grid_tensor_gradient.cu"
    , 0};
static const unsigned char gridTensorShared[] = {
#embed "kernels/grid_tensor_shared.cu"
    , 0};
static const unsigned char gridTensorGradientShared[] = {
#embed "kernels/grid_tensor_gradient_shared.cu"
    , 0};
static const unsigned char gridWarpgroup[] = {
#embed "kernels/grid_warpgroup.cu"
    , 0};
static const unsigned char gridWarpgroupGradient[] = {
#embed "kernels/grid_warpgroup_gradient.cu"
    , 0};
static const unsigned char layout[] = {
#embed "kernels/layout.cu"
    , 0};
static const unsigned char limits[] = {
#embed "kernels/limits.cu"
    , 0};
static const unsigned char limitsWarpgroup[] = {
#embed "kernels/limits_warpgroup.cu"
    , 0};
static const unsigned char loss[] = {
#embed "kernels/loss.cu"
    , 0};
static const unsigned char norm[] = {
#embed "kernels/norm.cu"
    , 0};
static const unsigned char optimizer[] = {
#embed "kernels/optimizer.cu"
    , 0};
static const unsigned char pointwise[] = {
#embed "kernels/pointwise.cu"
    , 0};
static const unsigned char rows[] = {
#embed "kernels/rows.cu"
    , 0};
static const unsigned char runsTensor[] = {
#embed "kernels/runs_tensor.cu"
    , 0};
static const unsigned char runsTensorGradient[] = {
#embed "kernels/runs_tensor_gradient.cu"
    , 0};

#define SOURCE(name, text) {name, (const char *)text}

static const fg_source sources[] = {
    SOURCE("arguments.h", arguments), SOURCE("element.cuh", element), SOURCE("tensor.cuh", tensor),
    SOURCE("warpgroup.cuh", warpgroup), SOURCE("grid_warpgroup.cu", gridWarpgroup),
    SOURCE("grid_warpgroup_gradient.cu", gridWarpgroupGradient), SOURCE("attention_tile.cuh", attentionTile), SOURCE("attention.cu", attention),
    SOURCE("attention_tensor.cu", attentionTensor), SOURCE("attention_tensor_gradient.cu", attentionTensorGradient),
    SOURCE("embedding.cu", embedding), SOURCE("grid.cu", grid), SOURCE("grid_tensor.cu", gridTensor),
    SOURCE("grid_tensor_gradient.cu", gridTensorGradient), SOURCE("layout.cu", layout), SOURCE("limits.cu", limits),
    SOURCE("limits_warpgroup.cu", limitsWarpgroup),
    SOURCE("loss.cu", loss), SOURCE("norm.cu", norm), SOURCE("optimizer.cu", optimizer), SOURCE("pointwise.cu", pointwise),
    SOURCE("grid_tensor_shared.cu", gridTensorShared), SOURCE("grid_tensor_gradient_shared.cu", gridTensorGradientShared),
    SOURCE("rows.cu", rows), SOURCE("runs_tensor.cu", runsTensor), SOURCE("runs_tensor_gradient.cu", runsTensorGradient)};

fg_source fg_source_at(int index) {
  const fg_source none = {NULL, NULL};
  return index >= 0 && (size_t)index < sizeof sources / sizeof *sources ? sources[index] : none;
}
