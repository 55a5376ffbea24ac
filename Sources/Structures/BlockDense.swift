import Arrays
import Devices

/// Low rank whose inner factor is block-diagonal.
///
///     W = U diag(V_1, ..., V_G),   V_g : [R/G, I/G],   U : [O, R]
///
/// - Values: `v` [G, R/G, I/G], `u` [1, O, R]; no indices (the pattern holds R). Density R (O + I/G) / (O I);
///   saved: z [T, R].
/// - First weights: normal, keeping the variance. The source draws them `orthonormal`, without a factor.
/// - Inputs that G does not divide are padded. Not representable when the density leaves no rank, a multiple of G.
public struct BlockDense: FactorisedStructure {
  public static let card = Card(
    family: "blockdense", grammar: "blockdense-G", summary: "low rank whose inner factor has G diagonal blocks",
    formula: "W = U diag(V_1, ..., V_G)", stored: "R (O + I/G)", densities: "R (O + I/G) / (O I)", densityIsFree: true,
    source: "Wei et al. 2024 (arXiv 2406.16450)")

  private static let usualGroups = [2, 4, 8]

  public let shape: Shape
  let first: BlockGrid
  let second: BlockGrid
  let factorNames = (first: "v", second: "u")
  private var groups: Int { first.outputs.groups }
  private var rank: Int { first.outputs.features }
  public var label: String { "blockdense-\(groups)" }
  public var pattern: Pattern { Pattern(["rank": [Int32(rank)]]) }

  public static func paddedShape(parameters: String, shape: Shape) throws -> Shape {
    shape.rounded(outputs: 1, inputs: try positive(parameters))
  }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [BlockDense] {
    members(usualGroups.map { "\($0)" }, of: shape, density: density, seed: seed)
  }

  public init(parameters: String, shape: Shape, density: Double, seed: UInt64) throws {
    let groups = try Self.positive(parameters)
    let each = Double(groups) * (Double(shape.outputs) + Double(shape.inputs) / Double(groups))
    let multiple = density > 0 && density <= 1 ? Int(density * Double(shape.count) / each) : 0
    try self.init(groups: groups, rank: groups * multiple, parameters, shape)
  }

  public init(parameters: String, shape: Shape, pattern: Pattern) throws {
    guard let array = pattern.arrays["rank"], array.count == 1, let rank = array.first else {
      throw Self.refusal(parameters, shape, "the pattern must hold one rank")
    }
    try self.init(groups: try Self.positive(parameters), rank: Int(rank), parameters, shape)
  }

  private init(groups: Int, rank: Int, _ parameters: String, _ shape: Shape) throws {
    guard shape.inputs.isMultiple(of: groups) else {
      throw Self.refusal(parameters, shape, "\(groups) groups do not divide the inputs")
    }
    guard rank > 0, rank.isMultiple(of: groups), rank <= groups * min(shape.outputs, shape.inputs / groups) else {
      throw Self.refusal(
        parameters, shape, "the rank \(rank) is not a multiple of \(groups) in range; ask for another density")
    }
    self.shape = shape
    first = .diagonal(
      outputs: .contiguous(groups: groups, members: rank / groups),
      inputs: .contiguous(groups: groups, members: shape.inputs / groups))
    second = .dense(outputs: shape.outputs, inputs: rank)
  }

  public func materialize(_ values: [Float]) -> [Double] {
    let inputs = first.inputs.members, rank = rank
    var dense = [Double](repeating: 0, count: shape.count)
    for o in 0..<shape.outputs {
      for r in 0..<rank {
        let group = r / (rank / groups)
        dense.add(
          Double(values[first.count + o * rank + r]), times: values, r * inputs..<(r + 1) * inputs,
          at: o * shape.inputs + group * inputs)
      }
    }
    return dense
  }

  /// The columns of a group are a product of their own, of rank R/G: its truncated SVD is best, and the groups are
  /// independent.
  public func project(_ dense: [Double]) -> [Float] {
    let inputs = first.inputs.members, each = rank / groups
    var values = [Float](repeating: 0, count: count)
    for g in 0..<groups {
      let block = (0..<shape.outputs).flatMap { o in
        let place = o * shape.inputs + g * inputs
        return dense[place..<place + inputs]
      }
      let factors = SingularValues(of: block, rows: shape.outputs, columns: inputs).balancedFactors(rank: each)
      for (index, value) in factors.right.enumerated() { values[g * each * inputs + index] = Float(value) }
      for o in 0..<shape.outputs {
        for r in 0..<each { values[first.count + o * rank + g * each + r] = Float(factors.left[o * each + r]) }
      }
    }
    return values
  }
}
