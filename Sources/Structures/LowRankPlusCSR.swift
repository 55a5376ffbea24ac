import Arrays
import Devices

/// A low-rank product plus an unstructured sparse matrix, half of the weights in each.
///
///     W = U V + S,   U : [O, R],  V : [R, I],  S with weights anywhere
///
/// Without a nonlinearity between its factors or a loss that aligns the two, such sums have been seen to diverge at large
/// learning rates; the factors' own rule and clipping are what guards them here.
/// - Values: `v` [1, R, I], `u` [1, O, R], `values` [nnz]; indices of S and the rank. 2 T values flops; saved: V x [T, R].
///   Projection by alternating least squares.
/// - First weights: normal, each part with half of the variance. SLTrain begins with U = 0 (`zero-last`) and S uniform with
///   the deviation 1/sqrt(3 I), whatever its density, so that y begins sqrt(3/d) times too small.
/// - Not representable when half of the density leaves no weight or no rank.
public struct LowRankPlusCSR: SumStructure {
  public static let card = Card(
    family: "lowrank+csr", grammar: "lowrank+csr", summary: "low rank plus unstructured, half of the weights each",
    formula: "W = U V + S", stored: "R (O + I) + nnz", densities: "any", densityIsFree: true,
    source: "SLTrain, Han et al. 2024 (arXiv 2406.02214)")

  static let usual = [""]

  public let shape: Shape
  let lowRank: LowRank
  let sparse: CSR
  public var label: String { "lowrank+csr" }

  init(shape: Shape, lowRank: LowRank, sparse: CSR) {
    self.shape = shape
    self.lowRank = lowRank
    self.sparse = sparse
  }

  static func sparse(_ parameters: String, _ shape: Shape, density: Double, seed: UInt64) throws -> CSR {
    try CSR(parameters: parameters, shape: shape, density: density / 2, seed: seed)
  }

  static func sparse(_ parameters: String, _ shape: Shape, _ pattern: Pattern) throws -> CSR {
    try CSR(parameters: parameters, shape: shape, pattern: pattern)
  }
}
