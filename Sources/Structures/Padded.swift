import Arrays
import Devices

/// A member of a larger shape that stands for a smaller one, whose sides its blocks do not divide.
///
///     W = the first O rows and I columns of W',    W' : [O', I'] a member of the family
///
/// Inputs are copied beside zeros, outputs beyond O are dropped. What that costs is counted: the flops, bytes and stored
/// weights are those of W', and ``padding`` is the share that no real feature sees.
struct Padded<Inner: Structure>: Structure {
  static var card: Card { Inner.card }
  let shape: Shape
  private let inner: Inner
  let padding: Double

  private init(_ inner: Inner, shape: Shape) {
    self.inner = inner
    self.shape = shape
    let ones = inner.materialize([Float](repeating: 1, count: inner.count))
    var whole = 0, real = 0
    for o in 0..<inner.shape.outputs {
      for i in 0..<inner.shape.inputs where ones[o * inner.shape.inputs + i] != 0 {
        whole += 1
        if o < shape.outputs && i < shape.inputs { real += 1 }
      }
    }
    padding = 1 - Double(real) / Double(max(1, whole))
  }

  static func members(of shape: Shape, density: Double, seed: UInt64) -> [Padded] {
    Inner.members(of: shape, density: density, seed: seed).map { Padded($0, shape: shape) }
  }

  /// `density` counts against the small shape: the stored weights are no more than its share.
  init(parameters: String, shape: Shape, density: Double, seed: UInt64) throws {
    let padded = try Inner.paddedShape(parameters: parameters, shape: shape)
    try Catalog.check(padded)
    let share = density * Double(shape.count) / Double(padded.count)
    do {
      self.init(try Inner(parameters: parameters, shape: padded, density: share, seed: seed), shape: shape)
    } catch let refusal as Refusal {
      // In the words of who asked.
      let sentence = refusal.sentence.replacing("shape \(padded)", with: "shape \(shape)")
        .replacing("density \(share)", with: "density \(density)")
      throw Refusal(refusal.kind, sentence)
    }
  }

  init(parameters: String, shape: Shape, pattern: Pattern) throws {
    let padded = try Inner.paddedShape(parameters: parameters, shape: shape)
    try Catalog.check(padded)
    self.init(try Inner(parameters: parameters, shape: padded, pattern: pattern), shape: shape)
  }

  var label: String { inner.label }
  var pattern: Pattern { inner.pattern }
  var layout: [TensorLayout] { inner.layout }
  var savedFeatures: Int { inner.savedFeatures }
  static var projectsExactly: Bool { Inner.projectsExactly }
  var liveOutputs: [Bool] { Array(inner.liveOutputs.prefix(shape.outputs)) }
  var liveInputs: [Bool] { Array(inner.liveInputs.prefix(shape.inputs)) }

  func materialize(_ values: [Float]) -> [Double] { cropped(inner.materialize(values)) }
  func absolute(_ values: [Float]) -> [Double] { cropped(inner.absolute(values)) }
  func project(_ dense: [Double]) -> [Float] { inner.project(extended(dense)) }
  func repatterned(for scores: [Double]) -> Padded { Padded(inner.repatterned(for: extended(scores)), shape: shape) }

  func reading(only inputs: [Bool], seed: UInt64) -> Padded {
    let rest = [Bool](repeating: false, count: inner.shape.inputs - shape.inputs)
    return Padded(inner.reading(only: inputs + rest, seed: seed), shape: shape)
  }

  private func cropped(_ matrix: [Double]) -> [Double] {
    (0..<shape.outputs).flatMap { matrix[$0 * inner.shape.inputs..<$0 * inner.shape.inputs + shape.inputs] }
  }

  private func extended(_ matrix: [Double]) -> [Double] {
    var result = [Double](repeating: 0, count: inner.shape.count)
    for o in 0..<shape.outputs {
      for i in 0..<shape.inputs { result[o * inner.shape.inputs + i] = matrix[o * shape.inputs + i] }
    }
    return result
  }

  /// The larger matrix is drawn with the gain that gives the smaller one the variance: the share of its squares that the
  /// cut leaves is taken from a first draw.
  func initialValues(gain: Double, using generator: inout SeededGenerator) -> [Float] {
    var first = generator
    let matrix = inner.materialize(inner.initialValues(gain: 1, using: &first))
    func squares(_ numbers: [Double]) -> Double { numbers.reduce(0) { $0 + $1 * $1 } }
    let left = squares(cropped(matrix)) / Double(shape.outputs)
    let whole = squares(matrix) / Double(inner.shape.outputs)
    let correction = left > 0 ? (whole / left).squareRoot() : 1
    return inner.initialValues(gain: gain * correction, using: &generator)
  }

  func cost(tokens: Int) -> Cost {
    var cost = inner.cost(tokens: tokens)
    // The copies in and out, beside what the caller reads and writes.
    cost.activationBytes += 4 * tokens * (shape.outputs + shape.inputs)
    return cost
  }

  func forward(
    _ x: Activations, values: Vector, saved: Activations?, into y: Activations, accumulate: Bool,
    on device: some Device
  ) throws {
    try widened(x, to: inner.shape.inputs, on: device) { x in
      try narrowed(y, from: inner.shape.outputs, accumulate: accumulate, on: device) { y, accumulate in
        try inner.forward(x, values: values, saved: saved, into: y, accumulate: accumulate, on: device)
      }
    }
  }

  func backward(
    _ dy: Activations, x: Activations, values: Vector, saved: Activations?, dx: Activations?, accumulate: Bool,
    dvalues: Vector?, on device: some Device
  ) throws {
    try widened(dy, to: inner.shape.outputs, on: device) { dy in
      try widened(x, to: inner.shape.inputs, on: device) { x in
        guard let dx else {
          return try inner.backward(
            dy, x: x, values: values, saved: saved, dx: nil, accumulate: false, dvalues: dvalues, on: device)
        }
        try narrowed(dx, from: inner.shape.inputs, accumulate: accumulate, on: device) { dx, accumulate in
          try inner.backward(
            dy, x: x, values: values, saved: saved, dx: dx, accumulate: accumulate, dvalues: dvalues, on: device)
        }
      }
    }
  }

  /// Lends `a` with zeros beside its features, up to `features`.
  private func widened(
    _ a: Activations, to features: Int, on device: some Device, _ body: (Activations) throws -> Void
  ) throws {
    guard a.features < features else { return try body(a) }
    try device.withScratch(tokens: a.tokens, features: features) { wide in
      try device.clear(wide)
      try device.copyFeatures(a, 0..<a.features, to: wide, at: 0)
      try body(wide)
    }
  }

  /// Lends a wide matrix whose first features become those of `y`.
  private func narrowed(
    _ y: Activations, from features: Int, accumulate: Bool, on device: some Device,
    _ body: (Activations, Bool) throws -> Void
  ) throws {
    guard y.features < features else { return try body(y, accumulate) }
    try device.withScratch(tokens: y.tokens, features: features) { wide in
      if accumulate {
        try device.clear(wide)
        try device.copyFeatures(y, 0..<y.features, to: wide, at: 0)
      }
      try body(wide, accumulate)
      try device.copyFeatures(wide, 0..<y.features, to: y, at: 0)
    }
  }
}
