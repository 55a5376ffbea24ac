/* What each kernel is told: one structure a family, passed by value, read alike by Swift, by NVRTC and by the host compiler.
 *
 * A matrix of activations lies feature-major: feature f of token t is x[f * pitch + t]; `pitch` is the number of tokens rounded
 * up to a multiple of 64, and the lanes beyond the last token hold zeros. `element` is bf16 or fp32, fixed when the source is
 * compiled; values, gradients, moments and statistics are fp32. No #include: NVRTC has no C library. */
#ifndef FILIGREE_ARGUMENTS_H
#define FILIGREE_ARGUMENTS_H

/* CUtensorMap: what the driver makes of a matrix, for bulk copies of its boxes. Aligned as that is where kernels are compiled; Swift
   reads no such structure, so what has maps begins with them and is a multiple of 128 bytes by itself. */
typedef struct
#ifdef __cplusplus
    alignas(128)
#endif
        fg_tensor_map {
  unsigned long long words[16];
} fg_tensor_map;

/* y, a: elements [count] */
typedef struct fg_pointwise {
  const void *a, *b, *c;
  void *y, *z;
  float scale;
  long long count;
} fg_pointwise;

/* rows fp32 [tokens, features], x elements [features, pitch] */
typedef struct fg_convert {
  float *rows;
  void *x;
  int tokens, features, pitch;
} fg_convert;

/* index [count]: target[i] = source[index[i]], with zeros where it is negative, or the signed maps of an Expansion */
typedef struct fg_gather {
  const float *source;
  void *target;
  const int *index;
  const int *start;
  long long count;
} fg_gather;

/* tokens [count], table fp32 [vocabulary, features]; the gradient walks token ids `id` with positions start[i] ..< start[i+1] */
typedef struct fg_embedding {
  const int *tokens;
  float *table;
  void *y;
  const int *id, *start, *position;
  int count, ids, features, pitch;
} fg_embedding;

/* inverse fp32 [pitch] */
typedef struct fg_norm {
  const void *x, *dy;
  const float *weight;
  void *y;
  float *inverse, *dweight;
  float epsilon;
  int features, pitch, accumulate;
} fg_norm;

/* cosine, sine fp32 [half, positions] */
typedef struct fg_rope {
  void *x;
  const float *cosine, *sine;
  int heads, half, pitch, positions, sequence, tokens;
  float direction;
} fg_rope;

/* One direction of a grid product: y[out(row, i)] (+)= sum over k in start[row] ..< start[row + 1], j of
   w[block(k)][i * rowStride + j * stepStride] * x[in(neighbour[k], j)], where out(g, i) = g * outGroup + i * outStride. */
typedef struct fg_grid {
  const void *w, *x;
  void *y;
  const int *start, *neighbour, *block, *order;
  int *counter;
  int rows, outMembers, outGroup, outStride;
  int inMembers, inGroup, inStride;
  int rowStride, stepStride, blockSize;
  int pitch, accumulate, stages;
} fg_grid;

/* The same by tiles of `share` rows: tile t has the rows row[t * share + p], -1 where there is none, and meets the neighbours
   k in start[t] ..< start[t + 1], where block[k * share + p] is its row's block, -1 where there is none, and bit p of present[k]
   says whether there is one. Every group has as many members as a block of the kernel has rows. */
typedef struct fg_grid_shared {
  const void *w, *x;
  void *y;
  const int *start, *neighbour, *block, *present, *row;
  int *counter;
  int tiles, outGroup, inMembers, inGroup;
  int rowStride, stepStride, blockSize;
  int pitch, accumulate, stages;
} fg_grid_shared;

/* The same by strips of 64 rows and of 64 columns: tile t has the strips of rows that begin at row[t * 6 + p], -1 where there is
   none, and meets strips of columns k in start[t] ..< start[t + 1], which begin at line[k]; piece[k * 6 + p] is the place of the
   64 x 64 weights there, in pieces, and bit p of present[k] says whether there are any. */
typedef struct fg_grid_warpgroup {
  const void *w, *x;
  void *y;
  const int *start, *line, *piece, *present, *row;
  int *counter;
  int tiles, pitch, accumulate, stages;
} fg_grid_warpgroup;

/* Blocks [blocks, outMembers, inMembers] of weights as pieces of 64 x 64, block after block and by rows within it, each in tiles of
   8 x 8 by rows; `count` lines of tiles, 8 numbers each. */
typedef struct fg_pieces {
  const float *source;
  void *target;
  int outMembers, inMembers;
  long long count;
} fg_pieces;

/* Every four of a matrix of which run i of them holds the values `held` i ..., at column[k] % 4: as a dense matrix; value[k] is
   source[k] of the values where `source` is not null. */
typedef struct fg_dense_runs {
  const float *value;
  void *target;
  const int *column, *source;
  int held;
  long long count;
} fg_dense_runs;

/* dvalues[k][i][j] += sum over tokens of dy[out(row[k], i)] * x[in(column[k], j)]; with splits > 1 the parts of the sum go to
   partial [splits, blocks, outMembers, inMembers] first. Bundles are triples of a row and the first and number of its pieces. */
typedef struct fg_grid_gradient {
  const void *dy, *x;
  float *dvalues, *partial;
  const int *row, *column, *bundle;
  int blocks, outMembers, outGroup, outStride;
  int inMembers, inGroup, inStride;
  int pitch, splits, stages;
} fg_grid_gradient;

/* The gradient of pieces of 64 x 64 values, from strips of 64 lines of dy and of x, by tiles of up to 12 pieces and 13 strips. The
   maps have boxes of 64 tokens and 64 lines. tile [tiles, 40]: how many strips of dy, strips in all, pieces; the first line of each
   strip, those of dy first; at 16 + 2 p piece p's strips (of dy in the low byte, of x in the next, counted in the tile) and its place
   among the pieces of the values, block after block and by rows within it. `strips` is the most that a tile has. */
typedef struct fg_grid_warpgroup_gradient {
  fg_tensor_map dy, x;
  float *dvalues, *partial;
  const int *tile;
  long long count;
  int outMembers, inMembers;
  int pitch, splits, stages, strips;
  long long filling[9];
} fg_grid_warpgroup_gradient;

/* target[i] += partial[0][i] + partial[1][i] + ... */
typedef struct fg_partials {
  float *target;
  const float *partial;
  long long count;
  int parts;
} fg_partials;

/* y[r] (+)= sum over k in start[r] ..< start[r + 1] of value[source ? source[k] : k] * x[column[k]] */
typedef struct fg_rows {
  const float *value;
  float *dvalue;
  const void *x, *dy;
  void *y;
  const int *start, *column, *source;
  int rows, pitch, accumulate;
} fg_rows;

/* A pattern of which every row holds at most two of every four gathered columns ("lines" of x): line[(r / group) * lines + i], or
   column i where `line` is null. depth is `lines` rounded up to 64. Pairs of weights in the order of the lines: value bf16 and
   place [rows rounded up to a tile, depth / 2], the place in dvalue or -1. choice [rows / 16, depth / 32, 8, 2] says in two bits
   which of its four lines a weight has: word (g, h) is of rows g (low half) and g + 8 and of the lines 16 h ..< 16 (h + 1).
   y[r] (+)= W x; dvalue += dy x' with the parts of a sum cut in `splits` going to partial [splits, count] first. */
typedef struct fg_runs {
  const void *value;
  const unsigned *choice;
  const int *place, *line;
  const void *x, *dy;
  void *y;
  float *dvalue, *partial;
  long long count;
  int rows, group, lines, depth;
  int pitch, accumulate, stages, splits;
} fg_runs;

/* q, output [heads * dimension, pitch], k, v [keyValueHeads * dimension, pitch], logSums and delta fp32 [heads, pitch] */
typedef struct fg_attention {
  const void *q, *k, *v, *output, *doutput;
  void *y, *dq, *dk, *dv;
  float *logSums, *delta;
  int heads, keyValueHeads, dimension, sequence, sequences, window, pitch;
  float scale;
} fg_attention;

/* logits [vocabulary, pitch] in place; targets [tokens]; partial fp32 [slices, 2, pitch], logSums fp32 [pitch], losses fp32 [tokens] */
typedef struct fg_loss {
  void *logits;
  const int *targets;
  float *partial, *losses, *logSums;
  float scale;
  int vocabulary, tokens, pitch, slices;
} fg_loss;

typedef struct fg_adam {
  float *value, *first, *second;
  const float *gradient;
  float gradientScale, keep, beta1, beta2, epsilon, step, rootCorrection;
  long long count;
} fg_adam;

/* partial double [parts] */
typedef struct fg_sum {
  const float *x;
  double *partial;
  long long count;
  int parts;
} fg_sum;

typedef struct fg_limit {
  const void *source;
  float *sink;
  long long count;
  int loops;
} fg_limit;

#endif
