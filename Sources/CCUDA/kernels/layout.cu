// Into and out of the device's layout. Each number is moved by one thread. Tiles of 32 x 32 turn in shared memory so that both
// sides are read and written in lines.
#include "element.cuh"

/// x[f][t] = rows[t][f], zeros beyond the last token.
KERNEL(upload_rows, 256, fg_convert) {
  SHARED float tile[32][33];
  int token = blockIdx.x * 32, feature = blockIdx.y * 32, lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  for (int r = warp; r < 32; r += 8) {
    bool inside = token + r < a.tokens && feature + lane < a.features;
    tile[r][lane] = inside ? a.rows[(long long)(token + r) * a.features + feature + lane] : 0.0f;
  }
  __syncthreads();
  for (int r = warp; r < 32; r += 8)
    if (feature + r < a.features) ((element *)a.x)[(long long)(feature + r) * a.pitch + token + lane] = toElement(tile[lane][r]);
}

/// rows[t][f] = x[f][t]
KERNEL(download_rows, 256, fg_convert) {
  SHARED float tile[32][33];
  int token = blockIdx.x * 32, feature = blockIdx.y * 32, lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  for (int r = warp; r < 32; r += 8)
    tile[r][lane] = feature + r < a.features ? toFloat(((const element *)a.x)[(long long)(feature + r) * a.pitch + token + lane]) : 0.0f;
  __syncthreads();
  for (int r = warp; r < 32; r += 8)
    if (token + r < a.tokens && feature + lane < a.features) a.rows[(long long)(token + r) * a.features + feature + lane] = tile[lane][r];
}

#define EACH(i) for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < a.count; i += (long long)gridDim.x * blockDim.x)

/// target = source in the elements' type: weights for the tensor cores.
KERNEL(narrow, 256, fg_gather) {
  EACH(i) ((element *)a.target)[i] = toElement(a.source[i]);
}

/// target[i] = source[index[i]] in the elements' type, 0 where the index is negative: weights in a tile's order.
KERNEL(narrow_gathered, 256, fg_gather) {
  EACH(i) {
    int at = a.index[i];
    ((element *)a.target)[i] = toElement(at >= 0 ? a.source[at] : 0.0f);
  }
}

/// Pieces of 64 x 64 weights for warpgroups, in the elements' type; a line of a tile at a time, of which a piece has 512.
KERNEL(narrow_pieces, 256, fg_pieces) {
  int across = a.inMembers / 64, pieces = a.outMembers / 64 * across;
  EACH(i) {
    long long piece = i / 512;
    int tile = (int)(i % 512) / 8, within = (int)(piece % pieces);
    int row = within / across * 64 + tile / 8 * 8 + (int)(i % 8), column = within % across * 64 + tile % 8 * 8;
    const float *source = a.source + (piece / pieces * a.outMembers + row) * a.inMembers + column;
    for (int j = 0; j < 8; j += 2) store2((element *)a.target + 8 * i + j, source[j], source[j + 1]);
  }
}

/// The dense matrix that a library compresses again, in the elements' type.
KERNEL(narrow_runs, 256, fg_dense_runs) {
  EACH(i) {
    float four[4] = {};
    for (int h = 0; h < a.held; h++) {
      long long k = i * a.held + h;
      float value = a.value[a.source ? a.source[k] : k];
#pragma unroll
      for (int j = 0; j < 4; j++)
        if ((a.column[k] & 3) == j) four[j] = value;
    }
    element *target = (element *)a.target + 4 * i;
    store2(target, four[0], four[1]);
    store2(target + 2, four[2], four[3]);
  }
}

/// target[i] = source[index[i]], - source[~index[i]] where that is negative, 0 where it is the least number.
KERNEL(expand, 256, fg_gather) {
  EACH(i) {
    int at = a.index[i];
    ((float *)a.target)[i] = at >= 0 ? a.source[at] : at == (int)0x80000000 ? 0.0f : -a.source[~at];
  }
}

/// target[i] += the sum, in order, of source[p] for the places p that value i went to, - source[~p] where it went negated.
KERNEL(collect, 256, fg_gather) {
  EACH(i) {
    float sum = 0.0f;
    for (int k = a.start[i]; k < a.start[i + 1]; k++) {
      int at = a.index[k];
      sum += at >= 0 ? a.source[at] : -a.source[~at];
    }
    ((float *)a.target)[i] += sum;
  }
}
