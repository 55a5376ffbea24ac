import Devices

/// One layer: m = x + attention(norm(x)),  y = m + mlp(norm(m)).
package struct DecoderLayer: Sendable {
  let attentionNorm: RMSNorm
  package let attention: SelfAttention
  let mlpNorm: RMSNorm
  package let mlp: SwiGLUMLP

  package var linears: [Linear] { attention.linears + mlp.linears }

  package struct State: Sendable {
    /// The residual stream as it comes in, and between the two halves.
    package let input: Activations
    package let normed1: Activations
    let inverse1: Activations
    package let attention: SelfAttention.State
    package let middle: Activations
    package let normed2: Activations
    let inverse2: Activations
    let mlp: SwiGLUMLP.State
  }

  func makeState(tokens: Int, features: Int, on device: any Device) throws -> State {
    func matrix(_ features: Int) throws -> Activations {
      try device.makeActivations(tokens: tokens, features: features)
    }
    return State(
      input: try matrix(features), normed1: try matrix(features), inverse1: try matrix(1),
      attention: try attention.makeState(tokens: tokens, on: device), middle: try matrix(features),
      normed2: try matrix(features), inverse2: try matrix(1), mlp: try mlp.makeState(tokens: tokens, on: device))
  }

  /// state.input -> output
  func forward(_ parameters: Parameters, _ state: State, into output: Activations, on device: any Device) throws {
    try attentionNorm.forward(
      state.input, parameters, into: state.normed1, inverse: state.inverse1, on: device)
    try device.copy(state.input, to: state.middle)
    try attention.forward(state.normed1, parameters, state.attention, addingTo: state.middle, on: device)
    try mlpNorm.forward(state.middle, parameters, into: state.normed2, inverse: state.inverse2, on: device)
    try device.copy(state.middle, to: output)
    try mlp.forward(state.normed2, parameters, state.mlp, addingTo: output, on: device)
  }

  /// In place: dx holds the gradient of the output, then of the input. The residual connections add to it.
  func backward(_ dx: Activations, _ parameters: Parameters, _ state: State, on device: any Device) throws {
    try device.withScratch(tokens: dx.tokens, features: dx.features) { dn in
      try mlp.backward(dx, n: state.normed2, parameters, state.mlp, dn: dn, on: device)
      try mlpNorm.backward(
        dn, x: state.middle, inverse: state.inverse2, parameters, dx: dx, on: device)
      try attention.backward(dx, n: state.normed1, parameters, state.attention, dn: dn, on: device)
      try attentionNorm.backward(
        dn, x: state.input, inverse: state.inverse1, parameters, dx: dx, on: device)
    }
  }
}
