/// A pattern whose neighbouring rows have their weights in nearly the same columns, such as a band or a matrix with few
/// zeros: strips of as many rows as the register tile, each a small dense matrix from its first column to its last.
///
/// Places without a weight are multiplied as zeros, so that x that is not finite there makes the sum NaN, as in a dense
/// product; calls of a few panels, which take single weights, do not see it.
final class RowStrips: Sendable {
  struct Strip {
    let rows: Range<Int>
    let columns: Range<Int>
    /// Where its weights begin among those of all strips, in floats.
    let offset: Int
    /// The squares of 16 columns in which it has places.
    var squares: Range<Int> { columns.lowerBound / 16..<(columns.upperBound + 15) / 16 }
  }

  let strips: [Strip]
  /// Places of all strips.
  let area: Int
  /// Strips of one task: a few, so that threads find work, with lines of x that are mostly the same.
  let chunks: [Range<Int>]
  /// Whether the weight gradient, which is made in squares of 16 columns, gains too.
  let suitGradient: Bool
  let columns: Int
  let start: [Int32]
  let column: [Int32]
  /// Where the weights lie in the values of the pattern; nil where they are met in that order.
  let source: [Int32]?

  /// Single weights reach half of what the register tile does, or less, so that up to this many places for a weight are a gain:
  /// from density 1/2 on every pattern is such strips.
  private static let placesForWeight = 2.0
  private static let chunkFloats = 1 << 12

  /// The rows of a compressed pattern; nil where they are no such strips.
  init?(start: [Int32], column: [Int32], source: [Int32]?, columns: Int, tileRows: Int) {
    let rows = start.count - 1, pieces = (rows + tileRows - 1) / tileRows
    guard !column.isEmpty else { return nil }
    var strips: [Strip] = [], chunks: [Range<Int>] = [], area = 0, squareArea = 0, begin = 0
    for piece in 0..<pieces {
      let members = piece * rows / pieces..<(piece + 1) * rows / pieces
      var first = columns, last = -1
      for r in members where start[r] < start[r + 1] {
        first = min(first, Int(column[Int(start[r])]))
        last = max(last, Int(column[Int(start[r + 1]) - 1]))
      }
      let span = last < 0 ? 0..<0 : first..<last + 1
      let strip = Strip(rows: members, columns: span, offset: area)
      strips.append(strip)
      area += members.count * span.count
      squareArea += members.count * strip.squares.count * 16
      if area - strips[begin].offset >= RowStrips.chunkFloats || piece + 1 == pieces {
        chunks.append(begin..<piece + 1)
        begin = piece + 1
      }
    }
    let most = RowStrips.placesForWeight * Double(column.count)
    guard Double(area) <= most else { return nil }
    suitGradient = Double(squareArea) <= most
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
