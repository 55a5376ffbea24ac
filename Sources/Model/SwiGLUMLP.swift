import Devices
import Structures

/// The gated MLP, whose three matrices may have any structure (Shazeer 2020, arXiv 2002.05202).
///
///     h = silu(Wg n) * (Wu n),   y = Wd h
package struct SwiGLUMLP: Sendable {
  package let gate: Linear
  package let up: Linear
  package let down: Linear

  package var linears: [Linear] { [gate, up, down] }

  package struct State: Sendable {
    let gate: Activations
    let up: Activations
    let hidden: Activations
    let savedGate: Activations?
    let savedUp: Activations?
    let savedDown: Activations?
  }

  func makeState(tokens: Int, on device: any Device) throws -> State {
    let hidden = gate.structure.shape.outputs
    return State(
      gate: try device.makeActivations(tokens: tokens, features: hidden),
      up: try device.makeActivations(tokens: tokens, features: hidden),
      hidden: try device.makeActivations(tokens: tokens, features: hidden),
      savedGate: try gate.makeSaved(tokens: tokens, on: device),
      savedUp: try up.makeSaved(tokens: tokens, on: device),
      savedDown: try down.makeSaved(tokens: tokens, on: device))
  }

  /// Hidden units that some input reaches through both gate and up and that reach some output: the others are dead
  /// weight (masks of gate, up and down drawn apart kill most units where blocks are large).
  package var effectiveWidth: Int {
    zip(zip(gate.structure.liveOutputs, up.structure.liveOutputs), down.structure.liveInputs)
      .reduce(0) { $0 + ($1.0.0 && $1.0.1 && $1.1 ? 1 : 0) }
  }

  /// y += the layer's output.
  func forward(
    _ n: Activations, _ parameters: Parameters, _ state: State, addingTo y: Activations, on device: any Device
  ) throws {
    try gate.forward(n, parameters, saved: state.savedGate, into: state.gate, on: device)
    try up.forward(n, parameters, saved: state.savedUp, into: state.up, on: device)
    try device.swiGLU(gate: state.gate, up: state.up, into: state.hidden)
    try down.forward(
      state.hidden, parameters, saved: state.savedDown, into: y, accumulate: true, on: device)
  }

  /// dn = the gradient of n:  dh = Wd' dy,  dg = dh u silu'(g),  du = dh silu(g),  dn = Wg' dg + Wu' du.
  func backward(
    _ dy: Activations, n: Activations, _ parameters: Parameters, _ state: State, dn: Activations,
    on device: any Device
  ) throws {
    try device.withScratch(tokens: dy.tokens, features: state.hidden.features) { dh in
      try down.backward(dy, x: state.hidden, parameters, saved: state.savedDown, dx: dh, on: device)
      try device.withScratch(tokens: dy.tokens, features: state.hidden.features) { dgate in
        try device.swiGLUGradient(gate: state.gate, up: state.up, dh: dh, dgate: dgate, dup: dh)
        try gate.backward(dgate, x: n, parameters, saved: state.savedGate, dx: dn, on: device)
        try up.backward(dh, x: n, parameters, saved: state.savedUp, dx: dn, accumulate: true, on: device)
      }
    }
  }
}
