import Arrays
import Devices

/// Blocks of rank R that share their bases: by block row on the left, by block column on the right.
///
///     W_ij = U_i diag(s_ij) V_j,     U_i : [O/b, R],  V_j : [R, I/b],  s_ij : [R],     i, j < b
///
/// b is 4 where 4 divides both sides, else 3, 2 or 1. z1_j = V_j x_j, then for each r a b x b matrix over the blocks,
/// z2_i = sum over j of s_ij * z1_j, then y_i = U_i z2_i: three grids.
/// - Values: `v` [b, R, I/b], `s` [R, b, b], `u` [b, O/b, R]; no indices. R (O + I + b^2) values; saved: z1 [T, b R]; the
///   backward pass computes z2 again. Projection by alternating least squares.
/// - Not representable when R > min(O, I).
public struct BlockLowRank: FixedStructure {
  public static let card = Card(
    family: "blr", grammar: "blr-R", summary: "blocks of rank R with shared bases (BLAST)",
    formula: "W_ij = U_i diag(s_ij) V_j", stored: "R (O + I + b^2)", densities: "R (O + I + b^2) / (O I)",
    densityIsFree: false, source: "BLAST, Lee et al. 2024 (arXiv 2410.21262)")

  public let shape: Shape
  private let rank: Int
  private let right: BlockGrid
  private let middle: BlockGrid
  private let left: BlockGrid
  private var blocks: Int { right.inputs.groups }
  public var label: String { "blr-\(rank)" }
  public var savedFeatures: Int { blocks * rank }

  private static func blocks(of shape: Shape) -> Int {
    [4, 3, 2].first { shape.outputs.isMultiple(of: $0) && shape.inputs.isMultiple(of: $0) } ?? 1
  }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [BlockLowRank] {
    let b = blocks(of: shape)
    return largestRank(of: shape, density: density, each: shape.outputs + shape.inputs + b * b)
  }

  public init(parameters: String, shape: Shape) throws {
    let rank = try Self.positive(parameters)
    guard rank <= min(shape.outputs, shape.inputs) else {
      throw Self.refusal(parameters, shape, "the rank can be at most \(min(shape.outputs, shape.inputs))")
    }
    let b = Self.blocks(of: shape)
    self.shape = shape
    self.rank = rank
    right = .diagonal(
      outputs: .contiguous(groups: b, members: rank), inputs: .contiguous(groups: b, members: shape.inputs / b))
    middle = .diagonal(
      outputs: .strided(groups: rank, members: b), inputs: .strided(groups: rank, members: b))
    left = .diagonal(
      outputs: .contiguous(groups: b, members: shape.outputs / b), inputs: .contiguous(groups: b, members: rank))
  }

  private var parts: (v: Range<Int>, s: Range<Int>, u: Range<Int>) {
    let first = right.count, second = first + middle.count
    return (0..<first, first..<second, second..<second + left.count)
  }

  public var layout: [TensorLayout] {
    zip(["v", "s", "u"], zip([right, middle, left], [parts.v, parts.s, parts.u])).map { name, part in
      let (grid, range) = part
      return TensorLayout(
        name: name, shape: [grid.blocks, grid.outputs.members, grid.inputs.members], offset: range.lowerBound,
        learningRateScale: LearningRateRule.factor(
          denseInputs: shape.inputs, blockInputs: grid.inputs.members, factors: 3))
    }
  }

  public func cost(tokens: Int) -> Cost {
    let flops = 2 * count * tokens
    return Cost(
      flops: flops, backwardFlops: 2 * flops + 2 * middle.count * tokens, valueBytes: 4 * count, indexBytes: 0,
      activationBytes: 4 * tokens * (shape.outputs + shape.inputs), savedBytes: 4 * tokens * savedFeatures)
  }

  public func materialize(_ values: [Float]) -> [Double] {
    let columns = shape.inputs / blocks, v = parts.v.lowerBound, s = parts.s.lowerBound, u = parts.u.lowerBound
    var dense = [Double](repeating: 0, count: shape.count)
    for o in 0..<shape.outputs {
      let i = o / (shape.outputs / blocks)
      for j in 0..<blocks {
        for r in 0..<rank {
          let factor = Double(values[u + o * rank + r]) * Double(values[s + (r * blocks + i) * blocks + j])
          let row = v + (j * rank + r) * columns
          dense.add(factor, times: values, row..<row + columns, at: o * shape.inputs + j * columns)
        }
      }
    }
    return dense
  }

  /// Each factor preserves the variance of what it reads, and takes a third of the gain: N(0, gain^(2/3) / block inputs).
  public func initialValues(gain: Double, using generator: inout SeededGenerator) -> [Float] {
    let third = Self.cubeRoot(gain * gain)
    return [right, middle, left].flatMap { grid in
      let deviation = (third / Double(grid.inputs.members)).squareRoot()
      return (0..<grid.count).map { _ in Float(deviation * generator.normal()) }
    }
  }

  private static func cubeRoot(_ number: Double) -> Double {
    guard number > 0 else { return 0 }
    var root = max(1, number)
    for _ in 0..<200 { root -= (root * root * root - number) / (3 * root * root) }
    return root
  }

  public static var projectsExactly: Bool { false }

  public func project(_ dense: [Double]) -> [Float] {
    SharedBases(dense, shape: shape, blocks: blocks, rank: rank).values
  }

  public func forward(
    _ x: Activations, values: Vector, saved: Activations?, into y: Activations, accumulate: Bool,
    on device: some Device
  ) throws {
    guard let z1 = saved else { preconditionFailure("a factorised structure keeps its inner activations") }
    try device.multiply(right, values[parts.v], x, into: z1, accumulate: false)
    try device.withScratch(tokens: x.tokens, features: savedFeatures) { z2 in
      try device.multiply(middle, values[parts.s], z1, into: z2, accumulate: false)
      try device.multiply(left, values[parts.u], z2, into: y, accumulate: accumulate)
    }
  }

  /// dz2 = U' dy,  dz1 = S' dz2,  dx = V' dz1;   dU = dy z2',  dS = dz2 z1',  dV = dz1 x'.
  public func backward(
    _ dy: Activations, x: Activations, values: Vector, saved: Activations?, dx: Activations?, accumulate: Bool,
    dvalues: Vector?, on device: some Device
  ) throws {
    guard let z1 = saved else { preconditionFailure("a factorised structure keeps its inner activations") }
    let parts = parts
    func scratch(_ body: (Activations) throws -> Void) throws {
      try device.withScratch(tokens: dy.tokens, features: savedFeatures, body)
    }
    if let dvalues {
      try scratch { z2 in
        try device.multiply(middle, values[parts.s], z1, into: z2, accumulate: false)
        try device.accumulateGradient(left, dy: dy, x: z2, into: dvalues[parts.u])
      }
    }
    try scratch { dz2 in
      try device.multiplyTransposed(left, values[parts.u], dy, into: dz2, accumulate: false)
      if let dvalues { try device.accumulateGradient(middle, dy: dz2, x: z1, into: dvalues[parts.s]) }
      try scratch { dz1 in
        try device.multiplyTransposed(middle, values[parts.s], dz2, into: dz1, accumulate: false)
        if let dx { try device.multiplyTransposed(right, values[parts.v], dz1, into: dx, accumulate: accumulate) }
        if let dvalues { try device.accumulateGradient(right, dy: dz1, x: x, into: dvalues[parts.v]) }
      }
    }
  }
}
