import Devices
import Structures

/// Grouped-query causal attention with rotary positions and an optional sliding window (Mistral 7B, arXiv 2310.06825).
///
///     q, k, v = Wq n, Wk n, Wv n;   q, k turned by RoPE;   y = Wo attention(q, k, v)
package struct SelfAttention: Sendable {
  let query: Linear
  let key: Linear
  let value: Linear
  let output: Linear
  let rope: RotaryEmbedding
  let geometry: AttentionGeometry

  package var linears: [Linear] { [query, key, value, output] }

  /// What the forward pass keeps.
  package struct State: Sendable {
    package let q: Activations
    package let k: Activations
    package let v: Activations
    package let attended: Activations
    let logSums: Activations
  }

  func makeState(tokens: Int, on device: any Device) throws -> State {
    let queries = geometry.heads * geometry.headDimension, keys = geometry.keyValueHeads * geometry.headDimension
    return State(
      q: try device.makeActivations(tokens: tokens, features: queries),
      k: try device.makeActivations(tokens: tokens, features: keys),
      v: try device.makeActivations(tokens: tokens, features: keys),
      attended: try device.makeActivations(tokens: tokens, features: queries),
      logSums: try device.makeActivations(tokens: tokens, features: geometry.heads))
  }

  /// y += the layer's output: y is the residual stream.
  func forward(
    _ n: Activations, _ parameters: Parameters, _ state: State, addingTo y: Activations, on device: any Device
  ) throws {
    try query.forward(n, parameters, into: state.q, on: device)
    try key.forward(n, parameters, into: state.k, on: device)
    try value.forward(n, parameters, into: state.v, on: device)
    try device.rope(state.q, rope, sequence: geometry.sequence, inverse: false)
    try device.rope(state.k, rope, sequence: geometry.sequence, inverse: false)
    try device.attention(
      geometry, q: state.q, k: state.k, v: state.v, into: state.attended, logSums: state.logSums)
    try output.forward(state.attended, parameters, into: y, accumulate: true, on: device)
  }

  /// dn = the gradient of n, from dy: each step of the forward pass backwards; the rotation's transpose is its inverse.
  func backward(
    _ dy: Activations, n: Activations, _ parameters: Parameters, _ state: State, dn: Activations,
    on device: any Device
  ) throws {
    let tokens = dy.tokens
    try device.withScratch(tokens: tokens, features: state.q.features) { dattended in
      try output.backward(dy, x: state.attended, parameters, dx: dattended, on: device)
      try device.withScratch(tokens: tokens, features: state.q.features) { dq in
        try device.withScratch(tokens: tokens, features: state.k.features) { dk in
          try device.withScratch(tokens: tokens, features: state.v.features) { dv in
            try device.attentionGradient(
              geometry, q: state.q, k: state.k, v: state.v, output: state.attended, logSums: state.logSums,
              doutput: dattended, dq: dq, dk: dk, dv: dv)
            try device.rope(dq, rope, sequence: geometry.sequence, inverse: true)
            try device.rope(dk, rope, sequence: geometry.sequence, inverse: true)
            try query.backward(dq, x: n, parameters, dx: dn, on: device)
            try key.backward(dk, x: n, parameters, dx: dn, accumulate: true, on: device)
            try value.backward(dv, x: n, parameters, dx: dn, accumulate: true, on: device)
          }
        }
      }
    }
  }
}
