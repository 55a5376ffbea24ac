import Arrays
import Devices

/// A low-rank product plus a block-sparse matrix, half of the weights in each.
///
///     W = U V + S,   U : [O, R],  V : [R, I],  S block-sparse with blocks of B x B
///
/// - Values: `v` [1, R, I], `u` [1, O, R], `blocks` [blocks, B, B]; indices of S and the rank. 2 T values flops; saved:
///   V x [T, R]. Projection by alternating least squares.
/// - Sides that B does not divide are padded. Not representable when half of the density leaves no block or no rank.
public struct LowRankPlusBSR: SumStructure {
  public static let card = Card(
    family: "lowrank+bsr", grammar: "lowrank+bsr-B", summary: "low rank plus block-sparse, half of the weights each",
    formula: "W = U V + S", stored: "R (O + I) + blocks B^2", densities: "any", densityIsFree: true,
    source: "Pixelated Butterfly's sum, Dao et al. 2021 (arXiv 2112.00029), with random blocks")

  static let usual = ["16", "32"]

  public let shape: Shape
  let lowRank: LowRank
  let sparse: BSR
  public var label: String { "lowrank+\(sparse.label)" }

  init(shape: Shape, lowRank: LowRank, sparse: BSR) {
    self.shape = shape
    self.lowRank = lowRank
    self.sparse = sparse
  }

  static func sparse(_ parameters: String, _ shape: Shape, density: Double, seed: UInt64) throws -> BSR {
    try BSR(parameters: parameters, shape: shape, density: density / 2, seed: seed)
  }

  static func sparse(_ parameters: String, _ shape: Shape, _ pattern: Pattern) throws -> BSR {
    try BSR(parameters: parameters, shape: shape, pattern: pattern)
  }

  public static func paddedShape(parameters: String, shape: Shape) throws -> Shape {
    try BSR.paddedShape(parameters: parameters, shape: shape)
  }
}
