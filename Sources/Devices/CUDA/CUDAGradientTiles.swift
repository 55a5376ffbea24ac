/// The pieces of 64 x 64 values of a grid in tiles of at most twelve that lie on few strips of 64 features, for the weight gradient:
/// a tile reads each strip of dy and of x once for all of its pieces.
struct GradientTiles {
  static let side = 64
  static let mostPieces = 12
  /// Each piece but the first adds at most one strip where they hang together, and tiles are joined no further than that.
  static let mostStrips = mostPieces + 1
  /// Numbers of a tile in `record`.
  static let length = 3 + mostStrips + 2 * mostPieces

  /// `fg_grid_warpgroup_gradient`'s tile, most strips first.
  private(set) var record: [Int32] = []

  /// Of such a record: tiles, strips of all tiles together, and strips of the tile that has most.
  static func counts(of record: [Int32]) -> (tiles: Int, strips: Int, most: Int) {
    let strips = stride(from: 1, to: record.count, by: length).map { Int(record[$0]) }
    return (strips.count, strips.reduce(0, +), strips.max() ?? 0)
  }

  /// Strips of rows and of columns that have pieces in common, each ascending.
  private struct Tile {
    var pieces: [(row: Int, column: Int)]
    var rows: [Int]
    var columns: [Int]
    var strips: Int { rows.count + columns.count }

    init(_ pieces: [(row: Int, column: Int)]) {
      self.pieces = pieces.sorted { ($0.row, $0.column) < ($1.row, $1.column) }
      rows = Set(pieces.map(\.row)).sorted()
      columns = Set(pieces.map(\.column)).sorted()
    }
  }

  init(_ grid: BlockGrid) {
    let side = GradientTiles.side
    let down = grid.outputs.members / side, across = grid.inputs.members / side
    let rows = grid.outputs.groups * down, columns = grid.inputs.groups * across
    var place = [Int32](repeating: -1, count: rows * columns)
    for group in 0..<grid.outputs.groups {
      for k in Int(grid.rowStart[group])..<Int(grid.rowStart[group + 1]) {
        for i in 0..<down {
          for j in 0..<across {
            place[(group * down + i) * columns + Int(grid.column[k]) * across + j] = Int32((k * down + i) * across + j)
          }
        }
      }
    }
    var waiting = WaitingPieces(rows: rows, columns: columns) { place[$0 * columns + $1] >= 0 }
    var found: [Tile] = []
    while let pieces = waiting.next(atMost: GradientTiles.mostPieces) { found.append(Tile(pieces)) }
    for tile in GradientTiles.joined(found).sorted(by: { $1.strips < $0.strips }) {
      record += [tile.rows.count, tile.strips, tile.pieces.count].map(Int32.init)
      let lines =
        tile.rows.map { grid.outputs.firstFeature(ofStrip: Int32($0)) }
        + tile.columns.map { grid.inputs.firstFeature(ofStrip: Int32($0)) }
      record += lines + [Int32](repeating: 0, count: GradientTiles.mostStrips - lines.count)
      for piece in tile.pieces {
        let left = tile.rows.firstIndex(of: piece.row)!
        let right = tile.rows.count + tile.columns.firstIndex(of: piece.column)!
        record += [Int32(left | right << 8), place[piece.row * columns + piece.column]]
      }
      record += [Int32](repeating: 0, count: 2 * (GradientTiles.mostPieces - tile.pieces.count))
    }
  }

  /// Tiles of few pieces put together while there is room, the largest first, each into the first that has it.
  private static func joined(_ tiles: [Tile]) -> [Tile] {
    var joined: [Tile] = []
    let order = tiles.indices.sorted {
      (tiles[$1].pieces.count, tiles[$1].strips, $0) < (tiles[$0].pieces.count, tiles[$0].strips, $1)
    }
    for tile in order.map({ tiles[$0] }) {
      let place = joined.firstIndex {
        $0.pieces.count + tile.pieces.count <= mostPieces && $0.strips + tile.strips <= mostStrips
      }
      if let place { joined[place] = Tile(joined[place].pieces + tile.pieces) } else { joined.append(tile) }
    }
    return joined
  }
}

/// Pieces that are in no tile yet, as a graph of strips of rows and of columns.
private struct WaitingPieces {
  /// Strips of rows are 0 ..< rows, strips of columns follow.
  private let rows: Int
  /// Of each strip, those of the other kind with which it has a piece.
  private var neighbours: [[Int]] = []
  /// Of each strip, the pieces that it has with strips of the tile under way.
  private var gain: [Int]

  init(rows: Int, columns: Int, _ isPiece: (_ row: Int, _ column: Int) -> Bool) {
    self.rows = rows
    neighbours = [[Int]](repeating: [], count: rows + columns)
    gain = [Int](repeating: 0, count: rows + columns)
    for row in 0..<rows {
      for column in 0..<columns where isPiece(row, column) {
        neighbours[row].append(rows + column)
        neighbours[rows + column].append(row)
      }
    }
  }

  /// Pieces of a new tile: from the strip that has most on, one strip after another, that which has most pieces with those that the
  /// tile has; of several, that which has most left over; of several, the first. Nil when there are none left.
  mutating func next(atMost most: Int) -> [(row: Int, column: Int)]? {
    guard let first = neighbours.indices.max(by: { (neighbours[$0].count, $1) < (neighbours[$1].count, $0) }),
      !neighbours[first].isEmpty
    else { return nil }
    var tile = [first], pieces: [(row: Int, column: Int)] = [], touched: [Int] = []
    func touch(_ strip: Int, _ gain: inout [Int], _ neighbours: [[Int]]) {
      for other in neighbours[strip] {
        if gain[other] == 0 { touched.append(other) }
        gain[other] += 1
      }
    }
    touch(first, &gain, neighbours)
    while pieces.count < most {
      let room = most - pieces.count
      let candidates = touched.filter { !tile.contains($0) }
      guard
        let best = candidates.max(by: {
          (min(gain[$0], room), neighbours[$0].count, $1) < (min(gain[$1], room), neighbours[$1].count, $0)
        })
      else { break }
      let met = tile.filter { neighbours[best].contains($0) }.sorted().prefix(room)
      pieces += met.map { best < rows ? (best, $0 - rows) : ($0, best - rows) }
      tile.append(best)
      touch(best, &gain, neighbours)
    }
    for strip in touched { gain[strip] = 0 }
    for piece in pieces {
      neighbours[piece.row].removeAll { $0 == rows + piece.column }
      neighbours[rows + piece.column].removeAll { $0 == piece.row }
    }
    return pieces
  }
}
