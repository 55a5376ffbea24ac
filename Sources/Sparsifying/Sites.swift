import Arrays
import Structures

/// Where the weights of one matrix can sit: places of r x c weights on a row-major grid, some of which are chosen.
///
/// Consecutive places form groups that hold equally many: a run of M inputs for N:M, a row for constant fan-in, the whole
/// grid otherwise. Blocks also cover: each row and each column of the grid keeps one, so that no unit of the MLP dies.
package struct Sites: Sendable {
  /// The member that training ends with.
  package let target: any Structure
  let unitRows: Int
  let unitColumns: Int
  package let rows: Int
  package let columns: Int
  /// Places of a group.
  package let groupSize: Int
  /// Chosen places of a group at the end.
  package let finalCount: Int
  package let covers: Bool
  let isTransposable: Bool
  private let run: Int?

  package var placeCount: Int { rows * columns }
  package var groupCount: Int { placeCount / groupSize }
  package var unitSize: Int { unitRows * unitColumns }

  /// - Throws: a `Refusal` for a structure whose pattern cannot move.
  package init(of target: any Structure) throws {
    let shape = target.shape, arrays = target.pattern.arrays
    let family = type(of: target).card.family
    guard ["csr", "fanin", "nm", "bsr"].contains(family), let start = arrays["rowStart"],
      let column = arrays["column"], !column.isEmpty
    else {
      throw Refusal.badInput(
        "the pattern of \(target.label) does not move; methods other than static train csr, fanin, nm-N:M and bsr-B")
    }
    self.target = target
    rows = start.count - 1
    unitRows = shape.outputs / rows
    unitColumns = target.count / column.count / unitRows
    columns = shape.inputs / unitColumns
    covers = family == "bsr"
    isTransposable = family == "nm" && target.parameters.hasSuffix("t")
    run = family == "nm" ? target.parameters.split(separator: ":").last.flatMap { Int($0.prefix { $0 != "t" }) } : nil
    groupSize = run ?? (family == "fanin" ? columns : rows * columns)
    finalCount = column.count / (rows * columns / groupSize)
  }

  /// The places that a member of the family, or a dense matrix, has chosen: ascending, in the order of its values.
  package func places(of structure: any Structure) -> [Int] {
    if structure is Dense { return Array(0..<placeCount) }
    let arrays = structure.pattern.arrays
    guard let start = arrays["rowStart"], let column = arrays["column"] else { return [] }
    return (0..<rows).flatMap { row in
      (Int(start[row])..<Int(start[row + 1])).map { row * columns + Int(column[$0]) }
    }
  }

  /// The member with its weights at these ascending places.
  package func structure(at places: [Int]) throws -> any Structure {
    var start = [Int32](repeating: 0, count: rows + 1)
    for place in places { start[place / columns + 1] += 1 }
    for row in 0..<rows { start[row + 1] += start[row] }
    return try structure(of: Pattern(["rowStart": start, "column": places.map { Int32($0 % columns) }]))
  }

  /// The member with this pattern, which may come from a file.
  package func structure(of pattern: Pattern) throws -> any Structure {
    var parameters = target.parameters
    if let run {
      let count = pattern.arrays["column"]?.count ?? 0
      parameters = "\(max(1, count / groupCount)):\(run)\(isTransposable ? "t" : "")"
    }
    return try type(of: target).init(parameters: parameters, shape: target.shape, pattern: pattern)
  }

  /// For each value of the structure its place in the row-major matrix [O, I].
  package func entries(of structure: any Structure) -> [Int32] {
    let inputs = target.shape.inputs
    if structure is Dense { return (0..<Int32(target.shape.count)).map { $0 } }
    var entries: [Int32] = []
    entries.reserveCapacity(structure.count)
    for place in places(of: structure) {
      let corner = place / columns * unitRows * inputs + place % columns * unitColumns
      for i in 0..<unitRows {
        for j in 0..<unitColumns { entries.append(Int32(corner + i * inputs + j)) }
      }
    }
    return entries
  }

  /// scores[place] += sum |w| over the place, w row-major [O, I]: the L1 norm, which Dietrich et al. (arXiv 2108.06277)
  /// found a little better than L2 and the largest entry.
  package func addMagnitudes(of dense: [Float], to scores: inout [Float]) {
    let inputs = target.shape.inputs
    for o in 0..<target.shape.outputs {
      let row = o / unitRows * columns
      for i in 0..<inputs { scores[row + i / unitColumns] += abs(dense[o * inputs + i]) }
    }
  }
}
