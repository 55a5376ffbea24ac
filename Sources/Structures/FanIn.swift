import Arrays
import Devices

/// Constant fan-in: every output reads exactly k inputs, drawn at random.
///
///     W[r, column[r k + j]] = values[r k + j],   j < k
///
/// - Values: `values` [O k], k = floor(d I); indices 4 (O k + O + 1) bytes. 2 T O k flops; nothing saved.
/// - Not representable when d I < 1. No output is dead, and every row costs the same.
public struct FanIn: RowsStructure {
  public static let card = Card(
    family: "fanin", grammar: "fanin", summary: "constant fan-in: exactly k weights in every row",
    formula: "W[r, column[r,j]] = v[r,j], j < k", stored: "O floor(d I)", densities: "k/I", densityIsFree: true,
    source: "Lasby et al. 2024 (arXiv 2305.02299); static random here")

  public let shape: Shape
  public let rows: CompressedRows
  public var label: String { "fanin" }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [FanIn] {
    members([""], of: shape, density: density, seed: seed)
  }

  public init(parameters: String, shape: Shape, density: Double, seed: UInt64) throws {
    try Self.requireNoParameters(parameters)
    let count = Int(density * Double(shape.inputs))
    guard (1...shape.inputs).contains(count) else {
      throw Self.refusal(parameters, shape, "density \(density) leaves no weight in a row; ask for more")
    }
    var generator = SeededGenerator(seed: seed, "fanin \(shape)")
    self.shape = shape
    rows = .rows(of: shape) { _ in generator.sample(count, below: shape.inputs) }
  }

  public init(parameters: String, shape: Shape, pattern: Pattern) throws {
    try Self.requireNoParameters(parameters)
    self.shape = shape
    rows = try CompressedRows(pattern, of: shape)
    guard Set((0..<shape.outputs).map { rows.columns(in: $0).count }).count == 1 else {
      throw Self.refusal(parameters, shape, "the pattern's rows have different numbers of weights")
    }
  }

  private init(shape: Shape, rows: CompressedRows) {
    self.shape = shape
    self.rows = rows
  }

  public func reading(only inputs: [Bool], seed: UInt64) -> FanIn {
    let live = inputs.indices.filter { inputs[$0] }
    guard live.count < shape.inputs, !live.isEmpty else { return self }
    var generator = SeededGenerator(seed: seed, "fanin \(shape)")
    let count = min(rows.columns(in: 0).count, live.count)
    return FanIn(
      shape: shape, rows: .rows(of: shape) { _ in generator.sample(count, below: live.count).map { live[$0] } })
  }

  /// The k greatest scores of every row.
  public func repatterned(for scores: [Double]) -> FanIn {
    let count = rows.columns(in: 0).count
    return FanIn(
      shape: shape,
      rows: .rows(of: shape) { row in
        let places = row * shape.inputs..<(row + 1) * shape.inputs
        return places.sorted { (scores[$0], $1) > (scores[$1], $0) }.prefix(count).map { $0 - places.lowerBound }
          .sorted()
      })
  }
}
