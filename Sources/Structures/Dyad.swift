import Arrays
import Devices

/// A block-diagonal matrix plus one whose inputs are dealt out in turn.
///
///     W = A + B,   A[g O/G + i, g I/G + j] = a[g, i, j],   B[g O/G + i, j G + g] = b[g, i, j]
///
/// The paper's input-transposed kind (DYAD-IT). It draws both parts with the dense fan-in, which makes activations start
/// too small by sqrt(2/G); here the variance is kept.
/// - Values: `a` [G, O/G, I/G], `b` [G, O/G, I/G]; no indices. Density 2/G; nothing saved.
/// - Sides that G does not divide are padded. Not representable when G is 1.
public struct Dyad: GroupedStructure, FixedStructure {
  public static let card = Card(
    family: "dyad", grammar: "dyad-G", summary: "block-diagonal plus block-diagonal of shuffled inputs",
    formula: "W = A + B", stored: "2 O I / G", densities: "2/G", densityIsFree: false,
    source: "DYAD, Chandy et al. 2023 (arXiv 2312.06881)")

  public let shape: Shape
  private let straight: BlockGrid
  private let shuffled: BlockGrid
  private var groups: Int { straight.outputs.groups }
  public var label: String { "dyad-\(groups)" }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [Dyad] {
    fewestGroups(of: shape, density: density)
  }

  public init(parameters: String, shape: Shape) throws {
    let groups = try Self.groups(parameters, shape)
    guard groups >= 2 else { throw Self.refusal(parameters, shape, "one group would store every weight twice") }
    let outputs = FeatureGroups.contiguous(groups: groups, members: shape.outputs / groups)
    self.shape = shape
    straight = .diagonal(outputs: outputs, inputs: .contiguous(groups: groups, members: shape.inputs / groups))
    shuffled = .diagonal(outputs: outputs, inputs: .strided(groups: groups, members: shape.inputs / groups))
  }

  public var layout: [TensorLayout] {
    ["a", "b"].enumerated().map { index, name in
      TensorLayout(
        name: name, shape: [groups, shape.outputs / groups, shape.inputs / groups], offset: index * straight.count,
        learningRateScale: LearningRateRule.factor(
          denseInputs: shape.inputs, blockInputs: 2 * shape.inputs / groups, factors: 1))
    }
  }

  public func materialize(_ values: [Float]) -> [Double] {
    let rows = shape.outputs / groups, columns = shape.inputs / groups
    var dense = [Double](repeating: 0, count: shape.count)
    for g in 0..<groups {
      for i in 0..<rows {
        for j in 0..<columns {
          let index = (g * rows + i) * columns + j, row = (g * rows + i) * shape.inputs
          dense[row + g * columns + j] += Double(values[index])
          dense[row + j * groups + g] += Double(values[straight.count + index])
        }
      }
    }
    return dense
  }

  /// N(0, gain^2 G / (2 I)): each part carries half of the variance.
  public func initialValues(gain: Double, using generator: inout SeededGenerator) -> [Float] {
    let deviation = gain * (Double(groups) / Double(2 * shape.inputs)).squareRoot()
    return (0..<count).map { _ in Float(deviation * generator.normal()) }
  }

  /// Every entry that a part reaches is met exactly; where both do, the first takes it all.
  public func project(_ dense: [Double]) -> [Float] {
    let rows = shape.outputs / groups, columns = shape.inputs / groups
    var values = [Float](repeating: 0, count: count)
    for g in 0..<groups {
      for i in 0..<rows {
        for j in 0..<columns {
          let index = (g * rows + i) * columns + j, row = (g * rows + i) * shape.inputs
          values[index] = Float(dense[row + g * columns + j])
          let shared = (j * groups + g) / columns == g
          values[straight.count + index] = shared ? 0 : Float(dense[row + j * groups + g])
        }
      }
    }
    return values
  }

  public func forward(
    _ x: Activations, values: Vector, saved: Activations?, into y: Activations, accumulate: Bool,
    on device: some Device
  ) throws {
    try device.multiply(straight, values[0..<straight.count], x, into: y, accumulate: accumulate)
    try device.multiply(shuffled, values[straight.count..<values.count], x, into: y, accumulate: true)
  }

  public func backward(
    _ dy: Activations, x: Activations, values: Vector, saved: Activations?, dx: Activations?, accumulate: Bool,
    dvalues: Vector?, on device: some Device
  ) throws {
    let a = 0..<straight.count, b = straight.count..<values.count
    if let dx {
      try device.multiplyTransposed(straight, values[a], dy, into: dx, accumulate: accumulate)
      try device.multiplyTransposed(shuffled, values[b], dy, into: dx, accumulate: true)
    }
    if let dvalues {
      try device.accumulateGradient(straight, dy: dy, x: x, into: dvalues[a])
      try device.accumulateGradient(shuffled, dy: dy, x: x, into: dvalues[b])
    }
  }
}
