import Devices
import Structures

/// y = W x for one weight matrix of any structure; with a guide beside it y = alpha G x + (1 - alpha) W x.
package struct Linear: Sendable {
  package let name: String
  package let structure: any Structure
  /// Where the values lie in the model's flat vectors.
  package let range: Range<Int>

  /// Inner activations for `tokens` tokens, where the structure keeps any.
  func makeSaved(tokens: Int, on device: any Device) throws -> Activations? {
    structure.savedFeatures == 0
      ? nil : try device.makeActivations(tokens: tokens, features: structure.savedFeatures)
  }

  func forward(
    _ x: Activations, _ parameters: Parameters, saved: Activations? = nil, into y: Activations,
    accumulate: Bool = false, on device: any Device
  ) throws {
    let values = parameters.values[range]
    guard let guide = parameters.branch(of: name), guide.role == .guide, let dense = guide.values else {
      return try structure.forward(x, values: values, saved: saved, into: y, accumulate: accumulate, on: device)
    }
    try device.withScratch(tokens: y.tokens, features: y.features) { part in
      try structure.forward(x, values: values, saved: saved, into: part, accumulate: false, on: device)
      try device.multiply(guide.diagonal, guide.rest, part, into: y, accumulate: accumulate)
      try device.multiply(guide.dense, dense, x, into: part, accumulate: false)
      try device.multiply(guide.diagonal, guide.alpha, part, into: y, accumulate: true)
    }
  }

  /// dx (+)= W' dy, dvalues += the gradient of the values.
  ///
  /// With a guide: dx (+)= (1 - alpha) W' dy + alpha G' dy, and each gradient takes its share of dy. A master's gradient
  /// dy x' takes the place of the values' own; an observer's stands beside it.
  func backward(
    _ dy: Activations, x: Activations, _ parameters: Parameters, saved: Activations? = nil, dx: Activations,
    accumulate: Bool = false, on device: any Device
  ) throws {
    let values = parameters.values[range]
    func own(_ dy: Activations, dvalues: Vector?) throws {
      try structure.backward(
        dy, x: x, values: values, saved: saved, dx: dx, accumulate: accumulate, dvalues: dvalues, on: device)
    }
    guard let branch = parameters.branch(of: name) else { return try own(dy, dvalues: parameters.gradients[range]) }
    guard branch.role == .guide, let dense = branch.values else {
      try own(dy, dvalues: branch.role == .master ? nil : parameters.gradients[range])
      return try device.accumulateGradient(branch.dense, dy: dy, x: x, into: branch.gradient)
    }
    try device.withScratch(tokens: dy.tokens, features: dy.features) { part in
      try device.multiply(branch.diagonal, branch.rest, dy, into: part, accumulate: false)
      try own(part, dvalues: parameters.gradients[range])
      try device.multiply(branch.diagonal, branch.alpha, dy, into: part, accumulate: false)
      try device.multiplyTransposed(branch.dense, dense, part, into: dx, accumulate: true)
      try device.accumulateGradient(branch.dense, dy: part, x: x, into: branch.gradient)
    }
  }
}
