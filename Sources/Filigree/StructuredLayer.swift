import Arrays
@_exported import Devices
@_exported import Structures

/// One weight matrix of any structure of the catalog, with its values and gradients, on row-major buffers.
///
///     y = W x      x [T, I], y [T, O], row-major
///
/// The values are compressed: a layer of density d stores and computes d of the dense one. `forward` keeps what
/// `backward` needs; gradients of the values accumulate until ``clearGradients()``. Not for several threads at once.
public final class StructuredLayer {
  public let structure: any Structure
  public let device: any Device
  private let values: Vector
  private let gradients: Vector
  private var kept: (x: Activations, saved: Activations?)?

  /// - Parameters:
  ///   - label: "bsr-32", "lowrank-64", ..., or a family: the member nearest to the density and not above it.
  ///   - density: stored weights / all weights, where the label leaves it open.
  ///   - seed: decides a random pattern and the first values, which keep the variance of their inputs.
  ///   - device: by default the CPU with all cores.
  /// - Throws: a `Refusal` whose sentence says what is wrong with the label, shape or density.
  public init(
    _ label: String, outputs: Int, inputs: Int, density: Double = 1, seed: UInt64 = 1, device: (any Device)? = nil
  ) throws {
    guard (1...1 << 24).contains(outputs), (1...1 << 24).contains(inputs) else {
      throw Refusal.badInput("a matrix of \(outputs) x \(inputs) cannot be made; give sides from 1 to 16777216")
    }
    let shape = Shape(outputs: outputs, inputs: inputs)
    structure = try Catalog.member(label, of: shape, density: density, seed: seed)
    self.device = try device ?? CPUDevice()
    var generator = SeededGenerator(seed: seed, label)
    values = try self.device.makeVector(structure.initialValues(gain: 1, using: &generator))
    gradients = try self.device.makeVector(count: structure.count)
  }

  /// y [T, O] from x [T, I].
  public func forward(_ x: [Float]) throws -> [Float] {
    let shape = structure.shape
    guard x.count.isMultiple(of: shape.inputs) else {
      throw Refusal.badInput("\(x.count) numbers are not rows of \(shape.inputs) inputs")
    }
    let tokens = x.count / shape.inputs
    let input = try device.makeActivations(x, tokens: tokens, features: shape.inputs)
    let output = try device.makeActivations(tokens: tokens, features: shape.outputs)
    let saved =
      structure.savedFeatures == 0
      ? nil : try device.makeActivations(tokens: tokens, features: structure.savedFeatures)
    try structure.forward(input, values: values, saved: saved, into: output, accumulate: false, on: device)
    kept = (input, saved)
    return try device.rows(output)
  }

  /// dx [T, I] from dy [T, O], for the x of the last `forward`; adds to the gradients of the values.
  public func backward(_ dy: [Float]) throws -> [Float] {
    let shape = structure.shape
    guard let kept else { throw Refusal.badInput("backward needs a forward before it") }
    guard dy.count == kept.x.tokens * shape.outputs else {
      throw Refusal.badInput("\(dy.count) numbers are not \(kept.x.tokens) rows of \(shape.outputs) outputs")
    }
    let gradient = try device.makeActivations(dy, tokens: kept.x.tokens, features: shape.outputs)
    let dx = try device.makeActivations(tokens: kept.x.tokens, features: shape.inputs)
    try structure.backward(
      gradient, x: kept.x, values: values, saved: kept.saved, dx: dx, accumulate: false, dvalues: gradients, on: device)
    return try device.rows(dx)
  }

  /// The compressed values, in the order of `structure.layout`.
  public var weights: [Float] {
    get throws { try device.numbers(values) }
  }

  public func setWeights(_ weights: [Float]) throws {
    guard weights.count == structure.count else {
      throw Refusal.badInput("\(weights.count) numbers are not the \(structure.count) values of \(structure.label)")
    }
    try weights.withUnsafeBufferPointer { try device.write($0, to: values) }
  }

  public var weightGradients: [Float] {
    get throws { try device.numbers(gradients) }
  }

  public func clearGradients() throws { try device.clear(gradients) }
}
