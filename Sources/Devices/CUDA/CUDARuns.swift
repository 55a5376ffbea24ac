import Arrays
import CCUDA

/// The products of a pattern whose rule is two of every four, on sparse tensor cores, and its gradient on tensor cores.
///
/// The rule is the pattern's own (`CompressedRows.rule`): whoever made it. Without one that fits, and in fp32, the products are
/// those of any compressed rows. The input gradient asks the same of the transpose: only transposable patterns have it.
extension CUDADevice {
  private static let tokens = 128
  private static let columns = 128
  private static let step = 64
  private static let pad = 8

  /// y (+)= W x, or with `transposed` W' x; false where the pattern has no such rule.
  func multiplyRuns(
    _ pattern: CompressedRows, _ values: Vector, _ x: Activations, into y: Activations, accumulate: Bool,
    transposed: Bool = false
  ) throws -> Bool {
    guard precision == .bf16, let runs = RunTiles(pattern, transposed: transposed) else { return false }
    count(flops: 2 * pattern.count * x.tokens)
    guard x.tokens > 0 else { return true }
    let tile = runs.tile, kept = CUDADevice.step / 2, pad = CUDADevice.pad
    let stage = tile * (kept + pad) + tile / 16 * CUDADevice.step + CUDADevice.step * (CUDADevice.tokens + pad)
    let (stages, shared) = ring(stageBytes: stage * 2, isAlone: tile >= 128)
    let table = try tables.runs(pattern, runs, on: self)
    func own(_ target: UnsafeMutableRawPointer, accumulate: Bool) throws {
      var a = arguments(runs, table, pitch: x.pitch)
      a.value = UnsafeRawPointer(try packed(values, runs, table))
      a.x = UnsafeRawPointer(x.buffer.address)
      a.y = target
      a.accumulate = accumulate ? 1 : 0
      a.stages = Int32(stages)
      let tiles = runs.paddedRows / tile * ((x.pitch + CUDADevice.tokens - 1) / CUDADevice.tokens)
      try launch("runs_tensor_\(tile)", of: "runs_tensor.cu", grid: (tiles, 1), shared: shared, a)
    }
    if try !multiplyBySparseLibrary(pattern, values, runs, x, into: y, accumulate: accumulate, own: own) {
      try own(y.buffer.address, accumulate: accumulate)
    }
    return true
  }

  /// dvalues += (dy x') on the pattern; false where the pattern has no such rule.
  func accumulateRunsGradient(
    _ pattern: CompressedRows, dy: Activations, x: Activations, into dvalues: Vector
  ) throws -> Bool {
    guard precision == .bf16, let runs = RunTiles(pattern, transposed: false) else { return false }
    count(flops: 2 * pattern.count * x.tokens)
    guard x.tokens > 0 else { return true }
    wrote(dvalues)
    let tile = runs.gradientTile, columns = CUDADevice.columns
    let (stages, shared) = ring(
      stageBytes: (tile + columns) * (CUDADevice.step + CUDADevice.pad) * 2, atLeast: tile * (columns + 4) * 4)
    let table = try tables.runs(pattern, runs, on: self)
    var a = arguments(runs, table, pitch: x.pitch)
    a.x = UnsafeRawPointer(x.buffer.address)
    a.dy = UnsafeRawPointer(dy.buffer.address)
    a.dvalue = dvalues.pointer
    a.count = Int64(pattern.count)
    a.stages = Int32(stages)
    let tiles = runs.paddedRows / tile * ((runs.lines + columns - 1) / columns)
    try launchInShares(
      "runs_tensor_gradient_\(tile)", of: "runs_tensor_gradient.cu", tiles: tiles,
      shares: shares(
        tiles: tiles, steps: x.pitch / CUDADevice.step, stepBytes: (tile + columns) * CUDADevice.step * 2,
        values: dvalues.count, blocks: 2
      ).count, shared: shared, into: dvalues
    ) { splits, partial in
      a.splits = Int32(splits)
      a.partial = partial
      return a
    }
    return true
  }

  private func arguments(_ runs: RunTiles, _ table: CUDATables.Runs, pitch: Int) -> fg_runs {
    var a = fg_runs()
    a.choice = table.choice
    a.place = table.place
    a.line = table.line
    a.rows = Int32(runs.rows)
    a.group = Int32(runs.group)
    a.lines = Int32(runs.lines)
    a.depth = Int32(runs.depth)
    a.pitch = Int32(pitch)
    return a
  }

  /// The values in the tiles' order as bf16; made again when they have changed.
  private func packed(
    _ values: Vector, _ runs: RunTiles, _ table: CUDATables.Runs
  ) throws -> UnsafeMutableRawPointer {
    let count = runs.paddedRows * runs.depth / 2
    let shadow = try shadows.shadow(
      of: values, runs.transposed ? .packedTransposed : .packed, for: table.serial
    ) { try allocate(byteCount: count * 2) }
    if shadow.isStale {
      var a = fg_gather()
      a.source = UnsafePointer(values.pointer)
      a.target = shadow.buffer.address
      a.index = table.place
      a.count = Int64(count)
      try launch("narrow_gathered", of: "layout.cu", grid: (blocks(for: count), 1), a)
    }
    return shadow.buffer.address
  }
}

/// How the rows of a pattern, or of its transpose, become tiles of a product with two of every four gathered columns.
struct RunTiles {
  let transposed: Bool
  let rule: RunRule
  let rows: Int
  /// Rows of a tile, which share their lines of x.
  let tile: Int
  /// Rows that share lines; all of them where the lines are x's own.
  let group: Int
  /// Gathered columns of a group, four a run; `depth` is that rounded up to the kernels' step.
  let lines: Int
  var depth: Int { (lines + 63) / 64 * 64 }
  /// The gradient's tiles also have 128 columns, and their sums must stay in registers.
  var gradientTile: Int { min(tile, 128) }
  var paddedRows: Int { (rows + tile - 1) / tile * tile }
  var isGathered: Bool { rule.run > rule.shared }

  /// Nil unless a run gives four columns, of which a row holds one or two, to all rows or to groups of 16 rows.
  init?(_ pattern: CompressedRows, transposed: Bool) {
    guard let rule = transposed ? pattern.transposedRule : pattern.rule, rule.shared == 4, rule.held <= 2 else {
      return nil
    }
    let (rows, columns) = transposed ? (pattern.columns, pattern.rows) : (pattern.rows, pattern.columns)
    guard rows > 0, columns > 0 else { return nil }
    self.transposed = transposed
    self.rule = rule
    self.rows = rows
    lines = columns / rule.run * 4
    if rule.run == rule.shared {
      group = rows
      // The largest that wastes at most an eighth.
      tile = [256, 128, 64, 32].first { (rows + $0 - 1) / $0 * $0 * 8 <= rows * 9 } ?? 16
    } else {
      guard rule.rows.isMultiple(of: 16) else { return nil }
      group = rule.rows
      tile = rule.rows.isMultiple(of: 256) ? 256 : BlockGrid.tile(rule.rows)
    }
  }

  /// `fg_runs`' place, choice and line.
  func arrays(of pattern: CompressedRows) -> (place: [Int32], choice: [UInt32], line: [Int32]) {
    let start = transposed ? pattern.columnStart : pattern.rowStart
    let column = transposed ? pattern.row : pattern.column
    let line = isGathered ? gathered(start, column) : []
    var place = [Int32](repeating: -1, count: paddedRows * depth / 2)
    // The first two of every four: what rows and lines beyond the last say.
    var choice = [UInt32](repeating: 0x4444_4444, count: paddedRows * depth / 32)
    for row in 0..<rows {
      let shared = line.isEmpty ? line[...] : line[row / group * lines..<(row / group + 1) * lines]
      var k = Int(start[row])
      for run in 0..<lines / 4 {
        let held = (k..<k + rule.held).map { k -> (line: UInt32, value: Int32) in
          let c = Int(column[k])
          let among =
            shared.isEmpty
            ? c % 4 : (0..<4).first { shared[shared.startIndex + 4 * run + $0] == column[k] } ?? 0
          return (UInt32(among), transposed ? pattern.source[k] : Int32(k))
        }
        k += rule.held
        var pair = held
        // A row that holds one has a zero beside it.
        if pair.count == 1 { pair.insert((held[0].line < 3 ? 3 : 0, -1), at: held[0].line < 3 ? 1 : 0) }
        let word = (row / 16 * (depth / 32) + run / 8) * 16 + row % 8 * 2 + run % 8 / 4
        let shift = UInt32(row % 16 / 8 * 16 + run % 4 * 4)
        choice[word] = choice[word] & ~(15 << shift) | (pair[0].line | pair[1].line << 2) << shift
        for (i, weight) in pair.enumerated() { place[row * (depth / 2) + run * 2 + i] = weight.value }
      }
    }
    return (place, choice, line)
  }

  /// For every group and run, the four columns that its rows use, ascending; where they use fewer, with others of the run.
  private func gathered(_ start: [Int32], _ column: [Int32]) -> [Int32] {
    var line: [Int32] = []
    line.reserveCapacity(rows / group * lines)
    for first in stride(from: 0, to: rows, by: group) {
      var used = [Set<Int32>](repeating: [], count: lines / 4)
      for k in Int(start[first])..<Int(start[first + group]) { used[Int(column[k]) / rule.run].insert(column[k]) }
      for run in used.indices {
        var four = used[run]
        let others = (Int32(run * rule.run)..<Int32((run + 1) * rule.run)).lazy.filter { !used[run].contains($0) }
        four.formUnion(others.prefix(4 - four.count))
        line += four.sorted()
      }
    }
    return line
  }
}
