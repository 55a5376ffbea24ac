/// A pattern whose neighbouring rows have their weights in nearly the same columns, such as a band or a matrix with few
/// zeros: strips of as many rows as the register tile, each a small dense matrix from its first column to its last.
///
/// Places without a weight are multiplied as zeros, so that x that is not finite there makes the sum NaN, as it does in a
/// dense product.
final class RowStrips: Sendable {
  struct Strip {
    let rows: Range<Int>
    let columns: Range<Int>
    /// Where its weights begin among those of all strips, in floats.
    let offset: Int
  }

  let strips: [Strip]
  /// Places of all strips.
  let area: Int
  /// Strips of one task, whose weights stay in the second-level cache.
  let chunks: [Range<Int>]
  let columns: Int
  let start: [Int32]
  let column: [Int32]
  /// Where the weights lie in the values of the pattern; nil where they are met in that order.
  let source: [Int32]?

  /// Single weights reach less than half of what the register tile does, so that this many places for a weight are still a gain:
  /// from density 1/2 on every pattern is such strips, and as fast as a dense matrix.
  private static let placesForWeight = 2.0
  private static let chunkFloats = 1 << 14

  /// The rows of a compressed pattern; nil where they are no such strips.
  init?(start: [Int32], column: [Int32], source: [Int32]?, columns: Int, tileRows: Int) {
    let rows = start.count - 1, pieces = (rows + tileRows - 1) / tileRows
    guard !column.isEmpty else { return nil }
    var strips: [Strip] = [], chunks: [Range<Int>] = [], area = 0, begin = 0
    for piece in 0..<pieces {
      let members = piece * rows / pieces..<(piece + 1) * rows / pieces
      var first = columns, last = -1
      for r in members where start[r] < start[r + 1] {
        first = min(first, Int(column[Int(start[r])]))
        last = max(last, Int(column[Int(start[r + 1]) - 1]))
      }
      let span = last < 0 ? 0..<0 : first..<last + 1
      strips.append(Strip(rows: members, columns: span, offset: area))
      area += members.count * span.count
      if area - strips[begin].offset >= RowStrips.chunkFloats || piece + 1 == pieces {
        chunks.append(begin..<piece + 1)
        begin = piece + 1
      }
    }
    guard Double(area) <= RowStrips.placesForWeight * Double(column.count) else { return nil }
    self.strips = strips
    self.chunks = chunks
    self.area = area
    self.columns = columns
    self.start = start
    self.column = column
    self.source = source
  }

  /// The weights of a row, as places among the compressed ones.
  func weights(ofRow row: Int) -> Range<Int> { Int(start[row])..<Int(start[row + 1]) }

  /// The columns of some weights of one row where they lie side by side; nil otherwise.
  func run(_ weights: Range<Int>) -> Range<Int>? {
    guard let last = weights.last else { return 0..<0 }
    let columns = Int(column[weights.lowerBound])..<Int(column[last]) + 1
    return columns.count == weights.count ? columns : nil
  }
}
