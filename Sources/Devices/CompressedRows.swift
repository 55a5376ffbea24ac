import Arrays

/// The pattern of an unstructured sparse matrix, by rows, with its transpose.
///
///     y[r] = sum over k in rowStart[r] ..< rowStart[r + 1] of  values[k] * x[column[k]]
///
/// Values: [nonzeros], in row order; columns ascend within a row.
public final class CompressedRows: Sendable {
  public let rows: Int
  public let columns: Int
  public let rowStart: [Int32]
  public let column: [Int32]
  /// The transpose: column c holds values[source[k]] in row row[k], k in columnStart[c] ..< columnStart[c + 1].
  public let columnStart: [Int32]
  public let row: [Int32]
  public let source: [Int32]
  /// What the pattern keeps to beside being sparse, and what its transpose does; nil where nothing is promised.
  public let rule: RunRule?
  public let transposedRule: RunRule?
  /// The orders in which the CPU walks this pattern.
  let walks = RowsWalks()

  public var count: Int { column.count }

  /// Bytes of the arrays of a pattern with so many weights, its transpose among them.
  package static func indexBytes(rows: Int, columns: Int, count: Int) -> Int { 12 * count + 4 * (rows + columns + 2) }

  /// - Throws: a `Refusal` when the arrays are not such a pattern, or do not keep to the rules; they may come from a file.
  public init(
    rows: Int, columns: Int, rowStart: [Int32], column: [Int32], rule: RunRule? = nil, transposedRule: RunRule? = nil
  ) throws {
    let compressed = try CompressedRows.transposed(
      rows: rows, columns: columns, rowStart: rowStart, column: column, of: "sparse pattern")
    self.rows = rows
    self.columns = columns
    self.rowStart = rowStart
    self.column = column
    columnStart = compressed.start
    row = compressed.row
    source = compressed.source
    self.rule = rule
    self.transposedRule = transposedRule
    if let rule, !rule.holds(count: rows, columns: columns, start: rowStart, column: column) {
      throw CompressedRows.broken(rule, "columns")
    }
    if let rule = transposedRule, !rule.holds(count: columns, columns: rows, start: columnStart, column: row) {
      throw CompressedRows.broken(rule, "rows")
    }
  }

  private static func broken(_ rule: RunRule, _ lines: String) -> Refusal {
    Refusal.badInput(
      "the sparse pattern does not hold \(rule.held) of every \(rule.run) \(lines)"
        + (rule.shared < rule.run ? ", with \(rule.shared) of them shared by every \(rule.rows) rows" : ""))
  }

  /// Checks a compressed pattern and transposes it by counting.
  static func transposed(
    rows: Int, columns: Int, rowStart: [Int32], column: [Int32], of what: String
  ) throws -> (start: [Int32], row: [Int32], source: [Int32]) {
    guard rows >= 0, columns >= 0, rowStart.count == rows + 1, rowStart.first == 0,
      column.count <= Int(Int32.max), rowStart.last == Int32(column.count)
    else {
      throw Refusal.badInput(
        "the \(what) has \(rowStart.count) row starts and \(column.count) indices, which do not fit \(rows) rows")
    }
    var start = [Int32](repeating: 0, count: columns + 1)
    for r in 0..<rows {
      guard rowStart[r] <= rowStart[r + 1], rowStart[r + 1] <= column.count else {
        throw Refusal.badInput("the \(what) has row starts that do not ascend at row \(r)")
      }
      var last: Int32 = -1
      for k in Int(rowStart[r])..<Int(rowStart[r + 1]) {
        guard column[k] > last, column[k] < columns else {
          throw Refusal.badInput("the \(what) has an index out of order or out of range in row \(r)")
        }
        last = column[k]
        start[Int(last) + 1] += 1
      }
    }
    for c in 0..<columns { start[c + 1] += start[c] }
    var next = start
    var row = [Int32](repeating: 0, count: column.count)
    var source = row
    for r in 0..<rows {
      for k in Int(rowStart[r])..<Int(rowStart[r + 1]) {
        let c = Int(column[k])
        row[Int(next[c])] = Int32(r)
        source[Int(next[c])] = Int32(k)
        next[c] += 1
      }
    }
    return (start, row, source)
  }
}
