import Arrays
import CCUDA

/// Tiles of a block-sparse product that share: their columns of x between several rows of the grid, or dy between several blocks
/// of a row in the gradient. Taken where counting says that they read less, and there are enough of them for the chip.
extension CUDADevice {
  static let height = 256
  static let gradientWidth = 256
  private static let tokens = 128
  private static let depth = 64
  private static let pad = 8

  /// False where rows of the grid share too little, or blocks have not 32, 64 or 128 rows.
  func multiplyShared(
    _ grid: BlockGrid, _ weights: UnsafeMutableRawPointer, _ x: Activations, into y: Activations, accumulate: Bool,
    _ direction: Direction
  ) throws -> Bool {
    let members = direction.outputs.members, depth = CUDADevice.depth, pad = CUDADevice.pad
    guard [32, 64, 128].contains(members), direction.outputs.groups > 1 else { return false }
    let share = CUDADevice.height / members, tokens = CUDADevice.tokens
    let table = try tables.sharedRows(grid, transposed: direction.isTransposed, share: share, on: self)
    let tiles = table.tiles * ((x.pitch + tokens - 1) / tokens)
    // A tenth less from the cache, and a tile for every multiprocessor.
    let alone = grid.blocks * (members + tokens), together = grid.blocks * members + table.met * tokens
    guard 10 * together <= 9 * alone, tiles >= context.multiprocessors else { return false }
    let left = max(members * (depth + pad), depth * (members + pad))
    let (stages, shared) = ring(stageBytes: (share * left + depth * (tokens + pad)) * 2, isAlone: true)
    var a = fg_grid_shared()
    a.w = UnsafeRawPointer(weights)
    a.x = UnsafeRawPointer(x.buffer.address)
    a.y = y.buffer.address
    a.start = table.start
    a.neighbour = table.neighbour
    a.block = table.block
    a.present = table.present
    a.row = table.row
    a.tiles = Int32(table.tiles)
    a.outGroup = Int32(direction.outputs.groupStride)
    a.inMembers = Int32(direction.inputs.members)
    a.inGroup = Int32(direction.inputs.groupStride)
    a.rowStride = Int32(direction.rowStride)
    a.stepStride = Int32(direction.stepStride)
    a.blockSize = Int32(members * direction.inputs.members)
    a.pitch = Int32(x.pitch)
    a.accumulate = accumulate ? 1 : 0
    a.stages = Int32(stages)
    try withBuffer(byteCount: 64) { counter in
      try clear(counter.address, byteCount: 4)
      a.counter = counter.address.assumingMemoryBound(to: Int32.self)
      try launch(
        "grid_tensor_shared_" + (direction.isTransposed ? "transposed_" : "") + "\(members)",
        of: "grid_tensor_shared.cu", grid: (min(tiles, context.multiprocessors), 1), shared: shared, a)
    }
    return true
  }

  /// False where most rows of the grid have too few blocks to share dy.
  func gradientShared(
    _ grid: BlockGrid, _ arguments: fg_grid_gradient, side: Int, into dvalues: Vector
  ) throws -> Bool {
    let pieces = grid.blocks * (grid.inputs.members / side), share = CUDADevice.gradientWidth / side
    let table = try tables.bundles(grid, side: side, share: share, on: self)
    // As much of dy as of x alone, as much as there are bundles together.
    guard 5 * table.bundles <= 4 * pieces else { return false }
    let stageBytes = (side + CUDADevice.gradientWidth) * (CUDADevice.depth + CUDADevice.pad) * 2
    let (stages, shared) = ring(stageBytes: stageBytes, isAlone: side == 128)
    var a = arguments
    a.bundle = table.bundle
    a.stages = Int32(stages)
    let tiles = table.bundles * (grid.outputs.members / side)
    try launchInShares(
      "grid_tensor_gradient_shared_\(side)", of: "grid_tensor_gradient_shared.cu", tiles: tiles,
      shares: shares(
        tiles: tiles, steps: Int(a.pitch) / CUDADevice.depth,
        stepBytes: (side + CUDADevice.gradientWidth) * CUDADevice.depth * 2, values: dvalues.count,
        blocks: side == 128 ? 0 : 2
      ).count, shared: shared, into: dvalues
    ) { splits, partial in
      a.splits = Int32(splits)
      a.partial = partial
      return a
    }
    return true
  }
}

/// The rows of a grid, or its columns for the transposed product, in tiles of `share` that have columns in common.
struct SharedRows {
  /// [tiles, share], -1 where a tile has fewer.
  var row: [Int32] = []
  /// Tile t meets the columns neighbour[k], ascending, k in start[t] ..< start[t + 1].
  private(set) var start: [Int32] = [0]
  var neighbour: [Int32] = []
  /// [columns met, share]: the row's block there, or -1; `present` has a bit for each row that has one.
  private(set) var block: [Int32] = []
  private(set) var present: [Int32] = []

  /// A row that is not in a tile yet.
  private struct Row {
    let index: Int
    let columns: [UInt64]
    let count: Int
  }

  /// - Parameter blocks: the places of the values; nil where they are met in order.
  init(start rowStart: [Int32], neighbour column: [Int32], blocks: [Int32]?, columns: Int, share: Int) {
    let words = (columns + 63) / 64
    var waiting = (0..<rowStart.count - 1).map { row in
      var bits = [UInt64](repeating: 0, count: words)
      let range = Int(rowStart[row])..<Int(rowStart[row + 1])
      for k in range { bits[Int(column[k]) / 64] |= 1 << UInt64(column[k] % 64) }
      return Row(index: row, columns: bits, count: range.count)
    }
    // Rows with most blocks first: so do the tiles begin.
    waiting.sort { ($1.count, $0.index) < ($0.count, $1.index) }
    var tiles: [[Int]] = []
    while !waiting.isEmpty {
      let leader = waiting.removeFirst()
      var tile = [leader.index], union = leader.columns
      while tile.count < share, let next = SharedRows.closest(to: union, of: waiting) {
        let row = waiting.remove(at: next)
        tile.append(row.index)
        for word in 0..<words { union[word] |= row.columns[word] }
      }
      tiles.append(tile.sorted())
    }
    for tile in tiles {
      row += tile.map(Int32.init) + [Int32](repeating: -1, count: share - tile.count)
      var met: [Int32: [Int32]] = [:]
      for (place, row) in tile.enumerated() {
        for k in Int(rowStart[row])..<Int(rowStart[row + 1]) {
          met[column[k], default: [Int32](repeating: -1, count: share)][place] = blocks?[k] ?? Int32(k)
        }
      }
      for (column, blocks) in met.sorted(by: { $0.key < $1.key }) {
        neighbour.append(column)
        block += blocks
        present.append(blocks.indices.reduce(0) { blocks[$1] < 0 ? $0 : $0 | 1 << Int32($1) })
      }
      start.append(Int32(neighbour.count))
    }
  }

  /// The row that has most of these columns; of several, that which adds fewest; of several, the first.
  private static func closest(to union: [UInt64], of rows: [Row]) -> Int? {
    var best: (place: Int, common: Int, added: Int)?
    for (place, row) in rows.enumerated() {
      let common = zip(union, row.columns).reduce(0) { $0 + ($1.0 & $1.1).nonzeroBitCount }
      let added = row.count - common
      if let best, (common, -added) <= (best.common, -best.added) { continue }
      best = (place, common, added)
    }
    return best?.place
  }
}

extension BlockGrid {
  /// Triples of a row, its first piece of `side` columns and how many of them, at most `share` and as even as they go. Pieces are
  /// numbered through the grid.
  func bundles(side: Int, share: Int) -> [Int32] {
    let across = inputs.members / side
    return (0..<outputs.groups).flatMap { row -> [Int32] in
      let first = Int(rowStart[row]) * across, count = Int(rowStart[row + 1]) * across - first
      let bundles = (count + share - 1) / share
      return (0..<bundles).flatMap { bundle -> [Int32] in
        let from = count * bundle / bundles, to = count * (bundle + 1) / bundles
        return [Int32(row), Int32(first + from), Int32(to - from)]
      }
    }
  }
}
