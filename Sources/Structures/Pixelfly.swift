import Arrays
import Devices

/// A flat block butterfly plus a low-rank product.
///
///     W = F + U V,   F holds the block (r, c) where r' xor c' is 0 or one of the powers of two 1, 2, 4, ..., 2^(k-1)
///
/// r' and c' are the block row and column stretched to the least power of two that holds both; the sum of the log factors
/// of a butterfly has this support, and one block-sparse product does what they would do one after another. k is the
/// largest for which F takes no more than three quarters of the weights; the low-rank part gets the rest.
/// - Values: `v` [1, R, I], `u` [1, O, R], `blocks` [blocks, B, B]; indices of F and the rank. 2 T values flops; saved:
///   V x [T, R]. Projection by alternating least squares.
/// - Sides that B does not divide are padded. Not representable when the diagonal alone is too much, or leaves no rank.
public struct Pixelfly: SumStructure {
  public static let card = Card(
    family: "pixelfly", grammar: "pixelfly-B", summary: "flat block butterfly plus low rank", formula: "W = F + U V",
    stored: "blocks B^2 + R (O + I)", densities: "from the block diagonal on", densityIsFree: true,
    source: "Pixelated Butterfly, Dao et al. 2021 (arXiv 2112.00029)")

  static let usual = ["16", "32"]
  /// Of the weights, the most that the butterfly takes.
  private static let butterflyShare = 0.75

  public let shape: Shape
  let lowRank: LowRank
  let sparse: BSR
  public var label: String { "pixelfly-\(sparse.parameters)" }

  static func sparse(_ parameters: String, _ shape: Shape, density: Double, seed: UInt64) throws -> BSR {
    let side = try positive(parameters)
    guard shape.outputs.isMultiple(of: side), shape.inputs.isMultiple(of: side) else {
      throw refusal(parameters, shape, "its \(side) x \(side) blocks do not divide it; choose a side that does")
    }
    let most = Int(butterflyShare * density * Double(shape.count)) / (side * side)
    let rows = shape.outputs / side, columns = shape.inputs / side
    var chosen: Pattern?
    for strides in 0...levels(rows, columns) {
      let pattern = butterfly(rows: rows, columns: columns, strides: strides)
      if pattern.arrays["column"]?.count ?? 0 <= most { chosen = pattern }
    }
    guard let chosen else {
      throw refusal(parameters, shape, "density \(density) is below the block diagonal's; ask for more")
    }
    return try BSR(parameters: parameters, shape: shape, pattern: chosen)
  }

  init(shape: Shape, lowRank: LowRank, sparse: BSR) {
    self.shape = shape
    self.lowRank = lowRank
    self.sparse = sparse
  }

  /// The pattern must be one of the butterflies of this shape.
  static func sparse(_ parameters: String, _ shape: Shape, _ pattern: Pattern) throws -> BSR {
    let side = try positive(parameters)
    let sparse = try BSR(parameters: parameters, shape: shape, pattern: pattern)
    let rows = shape.outputs / side, columns = shape.inputs / side
    guard
      (0...levels(rows, columns)).contains(where: {
        butterfly(rows: rows, columns: columns, strides: $0) == sparse.pattern
      })
    else { throw refusal(parameters, shape, "the pattern is not a flat butterfly") }
    return sparse
  }

  public static func paddedShape(parameters: String, shape: Shape) throws -> Shape {
    let side = try positive(parameters)
    return shape.rounded(outputs: side, inputs: side)
  }

  /// log2 of the least power of two that holds both.
  private static func levels(_ rows: Int, _ columns: Int) -> Int {
    Int.bitWidth - (max(rows, columns) - 1).leadingZeroBitCount
  }

  private static func butterfly(rows: Int, columns: Int, strides: Int) -> Pattern {
    let size = 1 << levels(rows, columns)
    let offsets = Set([0] + (0..<strides).map { 1 << $0 })
    var start: [Int32] = [0], column: [Int32] = []
    for row in 0..<rows {
      for c in 0..<columns where offsets.contains((row * size / rows) ^ (c * size / columns)) {
        column.append(Int32(c))
      }
      start.append(Int32(column.count))
    }
    return Pattern(["rowStart": start, "column": column])
  }
}
