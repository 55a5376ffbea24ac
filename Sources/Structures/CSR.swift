import Arrays
import Devices

/// An unstructured pattern: nnz weights anywhere, uniformly at random unless scores choose them.
///
///     W[r, column[k]] = values[k],   k in rowStart[r] ..< rowStart[r + 1]
///
/// - Values: `values` [nnz], nnz = floor(d O I); indices 4 (nnz + O + 1) bytes. 2 T nnz flops; nothing saved.
/// - Not representable when d O I < 1.
public struct CSR: RowsStructure {
  public static let card = Card(
    family: "csr", grammar: "csr", summary: "unstructured: weights anywhere, compressed by rows",
    formula: "W[r, column[k]] = v[k]", stored: "floor(d O I)", densities: "any", densityIsFree: true,
    source: "Mocanu et al. 2018 (Nature Communications 9:2383) for training; static random here")

  public let shape: Shape
  public let rows: CompressedRows
  public var label: String { "csr" }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [CSR] {
    members([""], of: shape, density: density, seed: seed)
  }

  public init(parameters: String, shape: Shape, density: Double, seed: UInt64) throws {
    let places = try Self.randomPlaces(parameters, shape, density, seed)
    self.init(shape: shape, rows: .at(places, of: shape))
  }

  public init(parameters: String, shape: Shape, pattern: Pattern) throws {
    try Self.requireNoParameters(parameters)
    self.init(shape: shape, rows: try CompressedRows(pattern, of: shape))
  }

  private init(shape: Shape, rows: CompressedRows) {
    self.shape = shape
    self.rows = rows
  }

  public func reading(only inputs: [Bool], seed: UInt64) -> CSR {
    let live = inputs.indices.filter { inputs[$0] }
    guard live.count < shape.inputs, !live.isEmpty else { return self }
    var generator = SeededGenerator(seed: seed, "csr \(shape)")
    let places = generator.sample(min(rows.count, shape.outputs * live.count), below: shape.outputs * live.count)
    return CSR(
      shape: shape, rows: .at(places.map { $0 / live.count * shape.inputs + live[$0 % live.count] }, of: shape))
  }

  public func repatterned(for scores: [Double]) -> CSR {
    let best = scores.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }.prefix(rows.count).sorted()
    return CSR(shape: shape, rows: CompressedRows.at(best, of: shape))
  }
}

extension Structure {
  /// floor(density O I) places of the row-major matrix, uniformly at random, ascending; for families without parameters.
  static func randomPlaces(_ parameters: String, _ shape: Shape, _ density: Double, _ seed: UInt64) throws -> [Int] {
    try requireNoParameters(parameters)
    let count = Int(density * Double(shape.count))
    guard count >= 1, count <= shape.count else {
      throw refusal(parameters, shape, "density \(density) leaves no weight; ask for more")
    }
    var generator = SeededGenerator(seed: seed, "\(card.family) \(shape)")
    return generator.sample(count, below: shape.count)
  }
}
