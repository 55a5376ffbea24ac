// Elementwise: each thread owns its numbers, so the result has no order. Bytes are the bound: every operand once.
#include "element.cuh"

#define EACH_PAIR(i) for (long long i = 2 * ((long long)blockIdx.x * blockDim.x + threadIdx.x); i < a.count; i += 2LL * gridDim.x * blockDim.x)

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

/// h = silu(gate) * up
KERNEL(swiglu, 256, fg_pointwise) {
  EACH_PAIR(i) {
    pair gate = load2((const element *)a.a + i), up = load2((const element *)a.b + i);
    store2((element *)a.y + i, gate.first * sigmoid(gate.first) * up.first, gate.second * sigmoid(gate.second) * up.second);
  }
}

/// dgate = dh up (s + gate s (1 - s)), dup = dh gate s with s = sigmoid(gate); dup may be dh.
KERNEL(swiglu_gradient, 256, fg_pointwise) {
  EACH_PAIR(i) {
    pair gate = load2((const element *)a.a + i), up = load2((const element *)a.b + i), dh = load2((const element *)a.c + i);
    float s = sigmoid(gate.first), t = sigmoid(gate.second);
    store2((element *)a.y + i, dh.first * up.first * (s + gate.first * s * (1.0f - s)),
           dh.second * up.second * (t + gate.second * t * (1.0f - t)));
    store2((element *)a.z + i, dh.first * gate.first * s, dh.second * gate.second * t);
  }
}

/// y += scale a
KERNEL(add_scaled, 256, fg_pointwise) {
  EACH_PAIR(i) {
    pair term = load2((const element *)a.a + i), sum = load2((const element *)a.y + i);
    store2((element *)a.y + i, sum.first + a.scale * term.first, sum.second + a.scale * term.second);
  }
}

/// Turns the pairs (d, d + half) of every head by the angle of the token's position; direction -1 turns back.
KERNEL(rotate, 256, fg_rope) {
  int token = blockIdx.x * blockDim.x + threadIdx.x, head = blockIdx.y / a.half, d = blockIdx.y % a.half;
  if (token >= a.tokens) return;
  int position = token % a.sequence;
  float c = a.cosine[(long long)d * a.positions + position], s = a.direction * a.sine[(long long)d * a.positions + position];
  element *first = (element *)a.x + (long long)(head * 2 * a.half + d) * a.pitch + token;
  element *second = first + (long long)a.half * a.pitch;
  float x = toFloat(*first), y = toFloat(*second);
  *first = toElement(x * c - y * s);
  *second = toElement(y * c + x * s);
}
