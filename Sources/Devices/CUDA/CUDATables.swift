import Arrays
import CCUDA
import Synchronization

/// Index arrays on the GPU, sent once for each pattern and kept as long as the pattern lives.
final class CUDATables: @unchecked Sendable {
  /// What a pattern's arrays are arranged for.
  private enum Form: Hashable {
    case plain, runs, transposedRuns, sharedRows, sharedColumns, bundles, strips, transposedStrips, gradientTiles
  }

  private struct Key: Hashable {
    let owner: ObjectIdentifier
    let form: Form
  }

  private struct Entry {
    weak var owner: AnyObject?
    let buffers: [Buffer]
    /// How many numbers each has, or what else was counted of them.
    let counts: [Int]
    let serial: Int
  }

  private struct State: @unchecked Sendable {
    var entries: [Key: Entry] = [:]
    var serial = 0
  }

  private let state = Mutex(State())

  struct Expanded {
    let index: UnsafePointer<Int32>
    let start: UnsafePointer<Int32>
    let position: UnsafePointer<Int32>
  }

  struct Grid {
    let rowStart: UnsafePointer<Int32>
    let column: UnsafePointer<Int32>
    let columnStart: UnsafePointer<Int32>
    let row: UnsafePointer<Int32>
    let block: UnsafePointer<Int32>
    /// The row of each block, in the values' order.
    let rowOfBlock: UnsafePointer<Int32>
    /// Rows and columns, those with most blocks first.
    let rowOrder: UnsafePointer<Int32>
    let columnOrder: UnsafePointer<Int32>
  }

  struct Rows {
    let rowStart: UnsafePointer<Int32>
    let column: UnsafePointer<Int32>
    let columnStart: UnsafePointer<Int32>
    let row: UnsafePointer<Int32>
    let source: UnsafePointer<Int32>
  }

  struct Runs {
    /// No other table has had it or will: addresses come again, this does not.
    let serial: Int
    let place: UnsafePointer<Int32>
    let choice: UnsafePointer<UInt32>
    let line: UnsafePointer<Int32>?
  }

  struct SharedGrid {
    let start: UnsafePointer<Int32>
    let neighbour: UnsafePointer<Int32>
    let block: UnsafePointer<Int32>
    let present: UnsafePointer<Int32>
    let row: UnsafePointer<Int32>
    let tiles: Int
    /// Columns met by all tiles together.
    let met: Int
  }

  struct GradientTiles {
    let tile: UnsafePointer<Int32>
    let tiles: Int
    /// Strips of all tiles together, and of the tile that has most.
    let strips: Int
    let most: Int
  }

  func expansion(_ e: Expansion, on device: CUDADevice) throws -> Expanded {
    let p = try pointers(e, on: device) { [e.index, e.start, e.position] }
    return Expanded(index: p[0], start: p[1], position: p[2])
  }

  func grid(_ g: BlockGrid, on device: CUDADevice) throws -> Grid {
    let p = try pointers(g, on: device) {
      var rowOfBlock = [Int32](repeating: 0, count: g.blocks)
      for row in 0..<g.outputs.groups {
        for k in Int(g.rowStart[row])..<Int(g.rowStart[row + 1]) { rowOfBlock[k] = Int32(row) }
      }
      return [
        g.rowStart, g.column, g.columnStart, g.row, g.block, rowOfBlock, CUDATables.longestFirst(g.rowStart),
        CUDATables.longestFirst(g.columnStart),
      ]
    }
    return Grid(
      rowStart: p[0], column: p[1], columnStart: p[2], row: p[3], block: p[4], rowOfBlock: p[5], rowOrder: p[6],
      columnOrder: p[7])
  }

  func rows(_ r: CompressedRows, on device: CUDADevice) throws -> Rows {
    let p = try pointers(r, on: device) { [r.rowStart, r.column, r.columnStart, r.row, r.source] }
    return Rows(rowStart: p[0], column: p[1], columnStart: p[2], row: p[3], source: p[4])
  }

  func runs(_ r: CompressedRows, _ tiles: RunTiles, on device: CUDADevice) throws -> Runs {
    let (serial, _, p) = try entry(r, tiles.transposed ? .transposedRuns : .runs, on: device) {
      let arrays = tiles.arrays(of: r)
      return [arrays.place, arrays.choice.map { Int32(bitPattern: $0) }, arrays.line]
    }
    return Runs(
      serial: serial, place: p[0], choice: UnsafeRawPointer(p[1]).assumingMemoryBound(to: UInt32.self),
      line: tiles.isGathered ? p[2] : nil)
  }

  func sharedRows(_ g: BlockGrid, transposed: Bool, share: Int, on device: CUDADevice) throws -> SharedGrid {
    let (_, counts, p) = try entry(g, transposed ? .sharedColumns : .sharedRows, on: device) {
      let rows =
        transposed
        ? SharedRows(
          start: g.columnStart, neighbour: g.row, blocks: g.block, columns: g.outputs.groups, share: share)
        : SharedRows(start: g.rowStart, neighbour: g.column, blocks: nil, columns: g.inputs.groups, share: share)
      return [rows.start, rows.neighbour, rows.block, rows.present, rows.row]
    }
    return SharedGrid(
      start: p[0], neighbour: p[1], block: p[2], present: p[3], row: p[4], tiles: counts[0] - 1, met: counts[1])
  }

  /// `row` and `neighbour` are the first features of strips of 64, `block` the places of pieces.
  func strips(_ g: BlockGrid, transposed: Bool, share: Int, on device: CUDADevice) throws -> SharedGrid {
    let (_, counts, p) = try entry(g, transposed ? .transposedStrips : .strips, on: device) {
      let rows = g.strips(transposed: transposed, share: share)
      let (out, into) = transposed ? (g.inputs, g.outputs) : (g.outputs, g.inputs)
      return [
        rows.start, rows.neighbour.map(into.firstFeature(ofStrip:)), rows.block, rows.present,
        rows.row.map(out.firstFeature(ofStrip:)),
      ]
    }
    return SharedGrid(
      start: p[0], neighbour: p[1], block: p[2], present: p[3], row: p[4], tiles: counts[0] - 1, met: counts[1])
  }

  func bundles(
    _ g: BlockGrid, side: Int, share: Int, on device: CUDADevice
  ) throws -> (bundle: UnsafePointer<Int32>, bundles: Int) {
    let (_, counts, p) = try entry(g, .bundles, on: device) { [g.bundles(side: side, share: share)] }
    return (p[0], counts[0] / 3)
  }

  func gradientTiles(_ g: BlockGrid, on device: CUDADevice) throws -> GradientTiles {
    func counted(_ arrays: [[Int32]]) -> [Int] {
      let counts = Devices.GradientTiles.counts(of: arrays[0])
      return [counts.tiles, counts.strips, counts.most]
    }
    let (_, counts, p) = try entry(g, .gradientTiles, on: device, counted: counted) {
      [Devices.GradientTiles(g).record]
    }
    return GradientTiles(tile: p[0], tiles: counts[0], strips: counts[1], most: counts[2])
  }

  /// cosine and sine [half, positions], from the CPU's panels of 16 positions.
  func rope(
    _ r: RotaryEmbedding, on device: CUDADevice
  ) throws -> (cosine: UnsafePointer<Float>, sine: UnsafePointer<Float>) {
    let half = r.headDimension / 2
    func lines(_ panels: [Float]) -> [Int32] {
      var lines = [Int32](repeating: 0, count: panels.count)
      for position in 0..<r.positions {
        for d in 0..<half {
          lines[d * r.positions + position] = Int32(
            bitPattern: panels[(position / 16 * half + d) * 16 + position % 16].bitPattern)
        }
      }
      return lines
    }
    let p = try pointers(r, on: device) { [lines(r.cosine), lines(r.sine)] }
    return (
      UnsafeRawPointer(p[0]).assumingMemoryBound(to: Float.self),
      UnsafeRawPointer(p[1]).assumingMemoryBound(to: Float.self)
    )
  }

  private static func longestFirst(_ start: [Int32]) -> [Int32] {
    (0..<Int32(start.count - 1)).sorted {
      let first = start[Int($0) + 1] - start[Int($0)], second = start[Int($1) + 1] - start[Int($1)]
      return (second, $0) < (first, $1)
    }
  }

  private func pointers(
    _ owner: AnyObject, on device: CUDADevice, _ arrays: () -> [[Int32]]
  ) throws -> [UnsafePointer<Int32>] {
    try entry(owner, .plain, on: device, arrays).pointers
  }

  private func entry(
    _ owner: AnyObject, _ form: Form, on device: CUDADevice, counted: ([[Int32]]) -> [Int] = { $0.map(\.count) },
    _ arrays: () -> [[Int32]]
  ) throws -> (serial: Int, counts: [Int], pointers: [UnsafePointer<Int32>]) {
    let key = Key(owner: ObjectIdentifier(owner), form: form)
    let found = state.withLock { state in
      state.entries[key].flatMap {
        $0.owner === owner ? (serial: $0.serial, counts: $0.counts, buffers: $0.buffers) : nil
      }
    }
    let serial: Int
    let counts: [Int]
    let buffers: [Buffer]
    if let found {
      (serial, counts, buffers) = found
    } else {
      let arrays = arrays()
      counts = counted(arrays)
      buffers = try arrays.map { numbers in
        let buffer = try device.allocate(byteCount: max(4, numbers.count * 4))
        try numbers.withUnsafeBytes { try device.send($0, to: buffer.address) }
        return buffer
      }
      // Those whose patterns are gone go too.
      let gone: [Buffer]
      (serial, gone) = state.withLock { state in
        let old = state.entries.values.flatMap(\.buffers)
        state.entries = state.entries.filter { $0.value.owner != nil }
        state.serial += 1
        state.entries[key] = Entry(owner: owner, buffers: buffers, counts: counts, serial: state.serial)
        return (state.serial, old)
      }
      withExtendedLifetime(gone) {}
    }
    return (serial, counts, buffers.map { UnsafePointer($0.address.assumingMemoryBound(to: Int32.self)) })
  }
}
