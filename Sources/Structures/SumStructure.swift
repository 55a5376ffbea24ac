import Arrays
import Devices

/// A family whose matrix is a low-rank product plus a sparse one, W = U V + S.
///
///     y = U V x + S x,   dx = V' U' dy + S' dy;   each part's values have the gradient they would have alone
///
/// Half of the variance starts in each part.
protocol SumStructure: Structure {
  var lowRank: LowRank { get }
  associatedtype Sparse: Structure
  var sparse: Sparse { get }

  /// The texts after "family-" that a glob offers.
  static var usual: [String] { get }

  init(shape: Shape, lowRank: LowRank, sparse: Sparse)
  /// The sparse part beside which the low-rank one takes what is left of the density.
  static func sparse(_ parameters: String, _ shape: Shape, density: Double, seed: UInt64) throws -> Sparse
  /// The sparse part that the text of a label names, from its arrays in a checkpoint.
  static func sparse(_ parameters: String, _ shape: Shape, _ pattern: Pattern) throws -> Sparse
}

extension SumStructure {
  /// The pattern: the sparse part's arrays, and the rank.
  public var pattern: Pattern {
    Pattern(sparse.pattern.arrays.merging(["rank": [Int32(lowRank.savedFeatures)]]) { own, _ in own })
  }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [Self] {
    members(usual, of: shape, density: density, seed: seed)
  }

  public init(parameters: String, shape: Shape, density: Double, seed: UInt64) throws {
    let sparse = try Self.sparse(parameters, shape, density: density, seed: seed)
    self.init(
      shape: shape, lowRank: try Self.lowRank(beside: sparse, density: density, parameters: parameters), sparse: sparse)
  }

  public init(parameters: String, shape: Shape, pattern: Pattern) throws {
    guard let array = pattern.arrays["rank"], array.count == 1, let rank = array.first else {
      throw Self.refusal(parameters, shape, "the pattern must hold one rank")
    }
    self.init(
      shape: shape, lowRank: try LowRank(parameters: "\(rank)", shape: shape),
      sparse: try Self.sparse(parameters, shape, pattern))
  }

  /// The low-rank part with the largest rank that leaves the sum at no more than `density`.
  private static func lowRank(beside sparse: any Structure, density: Double, parameters: String) throws -> LowRank {
    let shape = sparse.shape
    let rank = (Int(density * Double(shape.count)) - sparse.count) / (shape.outputs + shape.inputs)
    guard rank >= 1 else {
      throw refusal(parameters, shape, "density \(density) leaves no rank beside the sparse part; ask for more")
    }
    return try LowRank(parameters: "\(min(rank, shape.outputs, shape.inputs))", shape: shape)
  }

  public var savedFeatures: Int { lowRank.savedFeatures }

  public var layout: [TensorLayout] {
    lowRank.layout
      + sparse.layout.map {
        TensorLayout(
          name: $0.name, shape: $0.shape, offset: $0.offset + lowRank.count, learningRateScale: $0.learningRateScale)
      }
  }

  public func cost(tokens: Int) -> Cost {
    var cost = lowRank.cost(tokens: tokens)
    let other = sparse.cost(tokens: tokens)
    cost.flops += other.flops
    cost.backwardFlops += other.backwardFlops
    cost.valueBytes += other.valueBytes
    cost.indexBytes = pattern.byteCount
    return cost
  }

  public func materialize(_ values: [Float]) -> [Double] {
    zip(lowRank.materialize(Array(values[..<lowRank.count])), sparse.materialize(Array(values[lowRank.count...])))
      .map { $0 + $1 }
  }

  /// Rows for each row that the sparse part has.
  private var share: Double {
    let live = sparse.liveOutputs.reduce(0) { $0 + ($1 ? 1 : 0) }
    return Double(shape.outputs) / Double(max(1, live))
  }

  /// Rows that the sparse part leaves out have only the low-rank half; its other rows make up for them on average.
  public func initialValues(gain: Double, using generator: inout SeededGenerator) -> [Float] {
    lowRank.initialValues(gain: gain * 0.5.squareRoot(), using: &generator)
      + sparse.initialValues(gain: gain * (0.5 * share).squareRoot(), using: &generator)
  }

  public var initializations: [Initialization] { [.variance, .zeroLast] }

  public func initialValues(
    _ initialization: Initialization, gain: Double, using generator: inout SeededGenerator
  ) -> [Float]? {
    guard initialization == .zeroLast else {
      return initialization == .variance ? initialValues(gain: gain, using: &generator) : nil
    }
    return lowRank.initialValues(.zeroLast, gain: gain, using: &generator).map {
      $0 + sparse.initialValues(gain: gain * share.squareRoot(), using: &generator)
    }
  }

  public static var projectsExactly: Bool { false }

  /// Alternating least squares: each part in turn takes what is best beside the other, until a round gains less than one
  /// part in 200. Every step lowers the residual; the limit need not be the best sum.
  public func project(_ dense: [Double]) -> [Float] {
    var left = lowRank.project(dense), right = [Float](repeating: 0, count: sparse.count)
    var last = Double.infinity
    for _ in 0..<20 {
      right = sparse.project(zip(dense, lowRank.materialize(left)).map { $0 - $1 })
      left = lowRank.project(zip(dense, sparse.materialize(right)).map { $0 - $1 })
      let residual = residual(of: left + right, to: dense)
      guard residual < last * 0.995, residual > 1e-7 else { break }
      last = residual
    }
    return left + right
  }

  public func forward(
    _ x: Activations, values: Vector, saved: Activations?, into y: Activations, accumulate: Bool,
    on device: some Device
  ) throws {
    try lowRank.forward(
      x, values: values[0..<lowRank.count], saved: saved, into: y, accumulate: accumulate, on: device)
    try sparse.forward(
      x, values: values[lowRank.count..<values.count], saved: nil, into: y, accumulate: true, on: device)
  }

  public func backward(
    _ dy: Activations, x: Activations, values: Vector, saved: Activations?, dx: Activations?, accumulate: Bool,
    dvalues: Vector?, on device: some Device
  ) throws {
    let first = 0..<lowRank.count, second = lowRank.count..<values.count
    try lowRank.backward(
      dy, x: x, values: values[first], saved: saved, dx: dx, accumulate: accumulate, dvalues: dvalues?[first],
      on: device)
    try sparse.backward(
      dy, x: x, values: values[second], saved: nil, dx: dx, accumulate: true, dvalues: dvalues?[second], on: device)
  }
}
