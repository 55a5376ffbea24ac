import Arrays
import Devices

/// K diagonals that wrap around the longer side.
///
///     W[(i + offset) mod O, i]   for O >= I,      W[o, (o + offset) mod I]   for O < I,   offset in K offsets
///
/// - Values: `values` [K min(O, I)] in row order; indices 4 (values + O + 1) bytes. Density K / max(O, I); nothing saved.
/// - Not representable when K < max / min: some rows or columns would be empty. The first diagonals are placed so that
///   none is, the others at random.
public struct Diagonal: RowsStructure {
  public static let card = Card(
    family: "diagonal", grammar: "diagonal-K", summary: "K wrapped diagonals",
    formula: "W[(i + offset) mod O, i]", stored: "K min(O, I)", densities: "K / max(O, I)", densityIsFree: false,
    source: "DynaDiag, Tyagi et al. 2025 (arXiv 2506.11449); static offsets here")

  public let shape: Shape
  public let rows: CompressedRows
  public var label: String { "diagonal-\(rows.count / min(shape.outputs, shape.inputs))" }

  private static func long(_ shape: Shape) -> Int { max(shape.outputs, shape.inputs) }
  private static func short(_ shape: Shape) -> Int { min(shape.outputs, shape.inputs) }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [Diagonal] {
    guard density > 0, density <= 1 else { return [] }
    let count = Int(density * Double(long(shape)))
    return (try? Diagonal(parameters: "\(count)", shape: shape, density: density, seed: seed)).map { [$0] } ?? []
  }

  public init(parameters: String, shape: Shape, density: Double, seed: UInt64) throws {
    let count = try Self.count(parameters, shape)
    let long = Self.long(shape), short = Self.short(shape)
    // Diagonals a short side apart cover the long side.
    let cover = (0..<(long + short - 1) / short).map { $0 * short }
    var generator = SeededGenerator(seed: seed, "diagonal \(shape)")
    let rest = (0..<long).filter { !$0.isMultiple(of: short) }
    let offsets = cover + generator.sample(count - cover.count, below: rest.count).map { rest[$0] }
    self.shape = shape
    rows = Self.pattern(shape, offsets)
  }

  public init(parameters: String, shape: Shape, pattern: Pattern) throws {
    let count = try Self.count(parameters, shape)
    self.shape = shape
    rows = try CompressedRows(pattern, of: shape)
    // Whole diagonals: as many as the label says, and nothing beside them.
    var offsets = Set<Int>()
    for row in 0..<shape.outputs {
      for column in rows.columns(in: row) { offsets.insert(Self.offset(shape, row, Int(column))) }
    }
    guard offsets.count == count, rows.count == count * Self.short(shape) else {
      throw Self.refusal(parameters, shape, "the pattern is not \(count) whole diagonals")
    }
  }

  private static func count(_ parameters: String, _ shape: Shape) throws -> Int {
    let count = try positive(parameters)
    let least = (long(shape) + short(shape) - 1) / short(shape)
    guard (least...long(shape)).contains(count) else {
      throw refusal(parameters, shape, "from \(least) to \(long(shape)) diagonals cover every row and column")
    }
    return count
  }

  private static func offset(_ shape: Shape, _ row: Int, _ column: Int) -> Int {
    shape.outputs >= shape.inputs
      ? (row - column + shape.outputs) % shape.outputs : (column - row + shape.inputs) % shape.inputs
  }

  private static func pattern(_ shape: Shape, _ offsets: [Int]) -> CompressedRows {
    .rows(of: shape) { row in
      offsets.compactMap { offset in
        if shape.outputs < shape.inputs { return (row + offset) % shape.inputs }
        let column = (row - offset + shape.outputs) % shape.outputs
        return column < shape.inputs ? column : nil
      }.sorted()
    }
  }

  /// The diagonals with the greatest sums of scores, once every row and column is covered.
  public func repatterned(for scores: [Double]) -> Diagonal {
    let long = Self.long(shape), short = Self.short(shape), count = rows.count / short
    var sums = [Double](repeating: 0, count: long)
    for o in 0..<shape.outputs {
      for i in 0..<shape.inputs { sums[Self.offset(shape, o, i)] += scores[o * shape.inputs + i] }
    }
    let cover = Set((0..<(long + short - 1) / short).map { $0 * short })
    let order = sums.indices.filter { !cover.contains($0) }.sorted { (sums[$0], $1) > (sums[$1], $0) }
    let offsets = Array(cover) + order.prefix(count - cover.count)
    let pattern = Self.pattern(shape, offsets)
    return
      (try? Diagonal(
        parameters: "\(count)", shape: shape,
        pattern: Pattern(["rowStart": pattern.rowStart, "column": pattern.column]))) ?? self
  }
}
