import Arrays
import Devices
import Structures

/// One structure at one shape and number of tokens, with its data on the device: what is verified and timed.
///
/// Data are random normal, drawn from the seed; values are the structure's own initial ones.
package final class BenchCell {
  let structure: any Structure
  let device: any Device
  let tokens: Int
  let hostX: [Float]
  let hostDy: [Float]
  let hostValues: [Float]
  let x: Activations
  let dy: Activations
  let y: Activations
  let dx: Activations
  private let saved: Activations?
  private let values: Vector
  let dvalues: Vector
  /// The passes in which a product rounded its factors to tf32.
  private(set) var tensorFloatPasses: Set<DenseProduct> = []

  package init(_ structure: any Structure, tokens: Int, seed: UInt64, on device: any Device) throws {
    self.structure = structure
    self.device = device
    self.tokens = tokens
    let shape = structure.shape
    func normals(_ count: Int, _ name: String) -> [Float] {
      var generator = SeededGenerator(seed: seed, name)
      return (0..<count).map { _ in Float(generator.normal()) }
    }
    hostX = normals(tokens * shape.inputs, "x")
    hostDy = normals(tokens * shape.outputs, "dy")
    var generator = SeededGenerator(seed: seed, structure.label)
    hostValues = structure.initialValues(gain: 1, using: &generator)
    x = try device.makeActivations(hostX, tokens: tokens, features: shape.inputs)
    dy = try device.makeActivations(hostDy, tokens: tokens, features: shape.outputs)
    y = try device.makeActivations(tokens: tokens, features: shape.outputs)
    dx = try device.makeActivations(tokens: tokens, features: shape.inputs)
    saved =
      structure.savedFeatures == 0
      ? nil : try device.makeActivations(tokens: tokens, features: structure.savedFeatures)
    values = try device.makeVector(hostValues)
    dvalues = try device.makeVector(count: structure.count)
    // The gradients need what the forward pass keeps.
    try run(.forward)
  }

  /// The pass, and nothing else; the weight gradient adds to `dvalues`.
  package func run(_ pass: DenseProduct) throws {
    let before = device.tensorFloatFlops
    switch pass {
    case .forward:
      try structure.forward(x, values: values, saved: saved, into: y, accumulate: false, on: device)
    case .inputGradient:
      try structure.backward(
        dy, x: x, values: values, saved: saved, dx: dx, accumulate: false, dvalues: nil, on: device)
    case .weightGradient:
      try structure.backward(
        dy, x: x, values: values, saved: saved, dx: nil, accumulate: false, dvalues: dvalues, on: device)
    }
    try device.synchronize()
    if device.tensorFloatFlops > before { tensorFloatPasses.insert(pass) }
  }

  /// What the pass computes with.
  func dtype(_ pass: DenseProduct) -> String {
    if device.unitRoundoff > RoundingBound.unitRoundoff { return "bfloat16" }
    return tensorFloatPasses.contains(pass) ? "tf32" : "float32"
  }

  /// What rounding one factor of a product can do, relative to its size: of this pass, or of the forward pass that made what it reads.
  func factorRoundoff(_ pass: DenseProduct) -> Double {
    tensorFloatPasses.contains(pass) || tensorFloatPasses.contains(.forward)
      ? CUDAPrecision.tensorFloatRoundoff : device.unitRoundoff
  }

  /// The floating-point operations of the pass as the device counts them.
  func flops(_ pass: DenseProduct) throws -> Int {
    let before = device.flops
    try run(pass)
    return device.flops - before
  }

  /// What must move at least once: values (read, or read and written), indices, and the activations of the pass.
  func bytes(_ pass: DenseProduct) -> Int {
    let cost = structure.cost(tokens: tokens)
    return cost.bytes + (pass == .weightGradient ? cost.valueBytes : 0)
  }

  /// Row-major activations in and out again: what a caller without the device's layout pays.
  func convert(_ pass: DenseProduct, into rows: UnsafeMutableBufferPointer<Float>) throws {
    func enter(_ numbers: [Float], _ activations: Activations) throws {
      try numbers.withUnsafeBufferPointer { try device.upload($0, to: activations) }
    }
    func leave(_ activations: Activations) throws {
      let count = tokens * activations.features
      try device.download(activations, into: UnsafeMutableBufferPointer(rebasing: rows[0..<count]))
    }
    if pass != .forward { try enter(hostDy, dy) }
    if pass != .inputGradient { try enter(hostX, x) }
    if pass == .forward { try leave(y) }
    if pass == .inputGradient { try leave(dx) }
    try device.synchronize()
  }
}
