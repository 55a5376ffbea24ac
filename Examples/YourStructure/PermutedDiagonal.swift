import Filigree

/// K permuted diagonals: every output reads K inputs, k steps apart along a fixed permutation.
///
///     W[o, p(o + k)] = values[o, k],   p(j) = a j mod I,   a coprime to I,   k < K
///
/// - Values: `values` [O K] in row order; no indices in a checkpoint: the label says all. Density K / I; 2 T O K flops; nothing saved.
/// - Not representable when K > I.
struct PermutedDiagonal: RowsStructure, FixedStructure {
  static let card = Card(
    family: "permuted", grammar: "permuted-K", summary: "K permuted diagonals", formula: "W[o, p(o + k)] = v[o, k]",
    stored: "O K", densities: "K / I", densityIsFree: false, source: "the tutorial, docs/Tutorial.md")

  let shape: Shape
  let rows: CompressedRows
  var pattern: Pattern { Pattern() }
  var label: String { "permuted-\(rows.columns(in: 0).count)" }

  static func members(of shape: Shape, density: Double, seed: UInt64) -> [PermutedDiagonal] {
    let count = Int(density * Double(shape.inputs))
    return (try? PermutedDiagonal(parameters: "\(count)", shape: shape)).map { [$0] } ?? []
  }

  init(parameters: String, shape: Shape) throws {
    let count = try Self.positive(parameters)
    guard count <= shape.inputs else {
      throw Self.refusal(parameters, shape, "a row has \(shape.inputs) places; ask for at most that many diagonals")
    }
    // Near the golden section of I, where neighbours land far apart; the next number that shares no divisor with I.
    let start = max(1, Int(0.618 * Double(shape.inputs)))
    let step = (start...).first { Self.greatestCommonDivisor($0, shape.inputs) == 1 } ?? 1
    self.shape = shape
    rows = .rows(of: shape) { row in (0..<count).map { step * (row + $0) % shape.inputs }.sorted() }
  }

  private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
    b == 0 ? a : greatestCommonDivisor(b, a % b)
  }
}
