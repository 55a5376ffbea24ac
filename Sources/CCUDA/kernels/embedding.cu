// The embedding table's rows, and the gradient: one block owns a token id and meets its positions in order, so that no two
// threads add to one number and the order is the tokens'.
#include "element.cuh"

/// y[f][t] = table[tokens[t]][f]; -1 gives zeros, as do the lanes beyond the last token.
KERNEL(embed, 256, fg_embedding) {
  SHARED float tile[32][33];
  int token = blockIdx.x * 32, feature = blockIdx.y * 32, lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  for (int r = warp; r < 32; r += 8) {
    int id = token + r < a.count ? a.tokens[token + r] : -1;
    tile[r][lane] = id >= 0 && feature + lane < a.features ? a.table[(long long)id * a.features + feature + lane] : 0.0f;
  }
  __syncthreads();
  for (int r = warp; r < 32; r += 8)
    if (feature + r < a.features) ((element *)a.y)[(long long)(feature + r) * a.pitch + token + lane] = toElement(tile[lane][r]);
}

/// table[id][f] += sum over the id's positions t, in order, of y[f][t]
KERNEL(embed_gradient, 256, fg_embedding) {
  for (int i = blockIdx.x; i < a.ids; i += gridDim.x) {
    float *row = a.table + (long long)a.id[i] * a.features;
    for (int f = threadIdx.x; f < a.features; f += blockDim.x) {
      float sum = 0.0f;
      for (int k = a.start[i]; k < a.start[i + 1]; k++) sum += toFloat(((const element *)a.y)[(long long)f * a.pitch + a.position[k]]);
      row[f] += sum;
    }
  }
}
