import Arrays
import Devices

/// A product of two thin matrices.
///
///     W = U V,   V : [R, I],   U : [O, R]
///
/// - Values: `v` [1, R, I], `u` [1, O, R]; no indices. Density R (O + I) / (O I); 2 T R (O + I) flops; saved: V x [T, R].
/// - First weights: normal, keeping the variance. The source draws them `spectral`, which loses the variance that the
///   truncation cuts off; here it is put back.
/// - Not representable when R > min(O, I), where it would store more than it can express.
public struct LowRank: FactorisedStructure, FixedStructure {
  public static let card = Card(
    family: "lowrank", grammar: "lowrank-R", summary: "a product of two thin matrices of rank R",
    formula: "W = U V", stored: "R (O + I)", densities: "R (O+I) / (O I)", densityIsFree: false,
    source: "Wei et al. 2024 (arXiv 2406.16450) for training from scratch")

  public let shape: Shape
  let first: BlockGrid
  let second: BlockGrid
  let factorNames = (first: "v", second: "u")
  public var label: String { "lowrank-\(first.outputs.members)" }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [LowRank] {
    largestRank(of: shape, density: density, each: shape.outputs + shape.inputs)
  }

  public init(parameters: String, shape: Shape) throws {
    let rank = try Self.positive(parameters)
    guard rank <= min(shape.outputs, shape.inputs) else {
      throw Self.refusal(parameters, shape, "the rank can be at most \(min(shape.outputs, shape.inputs))")
    }
    self.shape = shape
    first = .dense(outputs: rank, inputs: shape.inputs)
    second = .dense(outputs: shape.outputs, inputs: rank)
  }

  public func materialize(_ values: [Float]) -> [Double] {
    let rank = first.outputs.members
    var dense = [Double](repeating: 0, count: shape.count)
    for o in 0..<shape.outputs {
      for r in 0..<rank {
        let u = Double(values[first.count + o * rank + r])
        dense.add(u, times: values, r * shape.inputs..<(r + 1) * shape.inputs, at: o * shape.inputs)
      }
    }
    return dense
  }

  public var initializations: [Initialization] { Initialization.allCases }

  public func initialValues(
    _ initialization: Initialization, gain: Double, using generator: inout SeededGenerator
  ) -> [Float]? {
    guard initialization == .spectral else {
      return factorValues(initialization, gain: gain, using: &generator)
    }
    let values = project((0..<shape.count).map { _ in generator.normal() })
    // What was cut off took its variance along.
    let kept = materialize(values).reduce(0) { $0 + $1 * $1 } / Double(shape.outputs)
    let scale = kept > 0 ? (gain / kept.squareRoot()).squareRoot() : 0
    return values.map { Float(scale * Double($0)) }
  }

  /// The truncated singular value decomposition, the roots of the singular values on both sides (Eckart and Young 1936).
  public func project(_ dense: [Double]) -> [Float] {
    let factors = SingularValues(of: dense, rows: shape.outputs, columns: shape.inputs)
      .balancedFactors(rank: first.outputs.members)
    return (factors.right + factors.left).map(Float.init)
  }
}
