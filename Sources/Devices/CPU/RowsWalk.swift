import Synchronization

/// A pattern in the order in which the CPU's kernels walk it: chunks of rows, in each chunk tiles of columns, in each tile
/// the rows by their number of weights.
///
/// A tile's lines of x stay near the first-level cache while all rows of the chunk use them, a chunk's sums in the second;
/// rows of equal length behind one another spare the processor's branch predictor; and weights and columns are met one
/// after another, as memory likes to be read.
final class RowsWalk: Sendable {
  /// Entry e is the weights start[e] ..< start[e + 1] of row row[e] within one tile.
  let row: [Int32]
  let start: [Int32]
  let column: [Int32]
  /// Where the weights lie in the values of the pattern; nil where they are met in that order.
  let source: [Int32]?
  /// Entries of tile t of chunk c are first[c * tiles + t] ..< first[c * tiles + t + 1].
  let first: [Int]
  let rows: Int
  let columns: Int
  let rowsPerChunk: Int
  let columnsPerTile: Int

  var chunks: Int { (rows + rowsPerChunk - 1) / rowsPerChunk }
  var tiles: Int { max(1, (columns + columnsPerTile - 1) / columnsPerTile) }
  var count: Int { column.count }

  /// Lines of 192 columns and four panels are 48 KB: more than some first-level caches, but wider tiles have fewer sums
  /// to fetch and to put back, and that weighs more.
  static let tileColumns = 192

  /// Four chunks or more, so that threads find work; at most 512 rows, whose sums for four panels are 128 KB. Of a transpose
  /// two, of at most 768 rows and 192 KB: its lines are many where its rows are few, and every chunk copies them anew.
  private static func chunkRows(_ rows: Int, transposed: Bool) -> Int {
    transposed ? min(768, max(64, (rows + 1) / 2)) : min(512, max(64, (rows + 3) / 4))
  }

  /// Row after row, for few panels: the whole of x stays near anyway, and nothing is copied into another order.
  init(inOrder pattern: CompressedRows) {
    rows = pattern.rows
    columns = pattern.columns
    row = (0..<rows).map(Int32.init)
    start = pattern.rowStart
    column = pattern.column
    source = nil
    rowsPerChunk = RowsWalk.chunkRows(rows, transposed: false)
    columnsPerTile = max(1, columns)
    first = RowsWalk.chunkStarts(rows, rowsPerChunk)
  }

  /// The transpose, column after column.
  init(transposed pattern: CompressedRows) {
    rows = pattern.columns
    columns = pattern.rows
    row = (0..<rows).map(Int32.init)
    start = pattern.columnStart
    column = pattern.row
    source = pattern.source
    rowsPerChunk = RowsWalk.chunkRows(rows, transposed: true)
    columnsPerTile = max(1, columns)
    first = RowsWalk.chunkStarts(rows, rowsPerChunk)
  }

  private static func chunkStarts(_ rows: Int, _ rowsPerChunk: Int) -> [Int] {
    stride(from: 0, to: rows, by: rowsPerChunk).map { $0 } + [rows]
  }

  /// The same weights, tile by tile.
  init(tiling walk: RowsWalk) {
    rows = walk.rows
    columns = walk.columns
    rowsPerChunk = walk.rowsPerChunk
    columnsPerTile = RowsWalk.tileColumns
    let tiles = max(1, (columns + columnsPerTile - 1) / columnsPerTile)
    var row: [Int32] = [], start: [Int32] = [], column: [Int32] = [], source: [Int32] = [], first: [Int] = []
    row.reserveCapacity(rows * tiles)
    start.reserveCapacity(rows * tiles + 1)
    column.reserveCapacity(walk.count)
    source.reserveCapacity(walk.count)
    var next = Array(walk.start.dropLast())
    for chunk in stride(from: 0, to: rows, by: rowsPerChunk) {
      let chunkRows = chunk..<min(rows, chunk + rowsPerChunk)
      for tile in 0..<tiles {
        first.append(row.count)
        let bound = Int32(min(columns, (tile + 1) * columnsPerTile))
        // Columns ascend within a row: each row's weights of this tile are a run that begins where the last one ended.
        var entries: [(row: Int, begin: Int32, end: Int32)] = []
        entries.reserveCapacity(chunkRows.count)
        for r in chunkRows {
          let begin = next[r]
          while next[r] < walk.start[r + 1] && walk.column[Int(next[r])] < bound { next[r] += 1 }
          entries.append((r, begin, next[r]))
        }
        entries.sort { ($0.end - $0.begin, $0.row) < ($1.end - $1.begin, $1.row) }
        for entry in entries {
          row.append(Int32(entry.row))
          start.append(Int32(column.count))
          for k in Int(entry.begin)..<Int(entry.end) {
            column.append(walk.column[k])
            source.append(walk.source?[k] ?? Int32(k))
          }
        }
      }
    }
    first.append(row.count)
    start.append(Int32(column.count))
    self.row = row
    self.start = start
    self.column = column
    self.source = source
    self.first = first
  }
}

/// The walks over one pattern, each made when it is first needed, and its strips where it has them.
final class RowsWalks: Sendable {
  private let made = Mutex<[String: RowsWalk]>([:])
  private let strips = Mutex<[String: RowStrips?]>([:])

  private func walk(_ name: String, _ make: () -> RowsWalk) -> RowsWalk { kept(name, in: made, make) }

  private func kept<Value: Sendable>(
    _ name: String, in cache: borrowing Mutex<[String: Value]>, _ make: () -> Value
  ) -> Value {
    if let value = cache.withLock({ $0[name] }) { return value }
    let value = make()
    cache.withLock { $0[name] = value }
    return value
  }

  func rows(of pattern: CompressedRows, tiled: Bool) -> RowsWalk {
    let plain = walk("rows") { RowsWalk(inOrder: pattern) }
    return tiled ? walk("tiled rows") { RowsWalk(tiling: plain) } : plain
  }

  func columns(of pattern: CompressedRows, tiled: Bool) -> RowsWalk {
    let plain = walk("columns") { RowsWalk(transposed: pattern) }
    return tiled ? walk("tiled columns") { RowsWalk(tiling: plain) } : plain
  }

  func rowStrips(of pattern: CompressedRows, tileRows: Int) -> RowStrips? {
    kept("rows \(tileRows)", in: strips) {
      RowStrips(
        start: pattern.rowStart, column: pattern.column, source: nil, columns: pattern.columns, tileRows: tileRows)
    }
  }

  func columnStrips(of pattern: CompressedRows, tileRows: Int) -> RowStrips? {
    kept("columns \(tileRows)", in: strips) {
      RowStrips(
        start: pattern.columnStart, column: pattern.row, source: pattern.source, columns: pattern.rows,
        tileRows: tileRows)
    }
  }
}
