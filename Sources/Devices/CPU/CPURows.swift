import Arrays
import CKernels
import Glibc

/// The three products of `CompressedRows`: weights are broadcast, lanes are tokens, four panels at once. Patterns whose rows
/// make strips go to the register tile (`RowStrips`).
///
/// A task is one chunk of rows for a few groups of four panels. For every tile of columns the lines of a group are copied
/// side by side, and all rows of the chunk use them from there; the values are copied once a call into the order in
/// which they are met.
extension CPUDevice {
  /// From this many panels on, a copy of the values in tile order pays.
  private static let panelsWorthTiling = 4
  /// Groups of panels of one task: a chunk's weights are met again and again from the second-level cache.
  private static let groupsPerTask = 8

  public func multiply(
    _ pattern: CompressedRows, _ values: Vector, _ x: Activations, into y: Activations, accumulate: Bool
  ) throws {
    precondition(x.features == pattern.columns && y.features == pattern.rows && values.count == pattern.count)
    if CPUDevice.fewOfRows.contains(x.tokens) {
      precondition(x.tokens == y.tokens)
      count(flops: 2 * pattern.count * x.tokens)
      return try multiplyFew(pattern, values, x, y, accumulate: accumulate)
    }
    let tiled = x.panels >= CPUDevice.panelsWorthTiling
    if tiled, let strips = pattern.walks.rowStrips(of: pattern, tileRows: Int(kernels.tileRows)) {
      return try multiply(strips, values, x, into: y, accumulate: accumulate)
    }
    try multiply(pattern.walks.rows(of: pattern, tiled: tiled), values, x, y, accumulate: accumulate)
  }

  /// What the first training step makes beside a pattern of which no more is known: the tiled walks over its rows and its
  /// columns, and the values in the order of a walk. Strips in both directions hold less, two copies of the weights with their zeros.
  package static func walkBytes(rows: Int, columns: Int, count: Int, tokens: Int) -> Int {
    guard (tokens + 15) / 16 >= panelsWorthTiling else { return 4 * (rows + columns + count) }
    func tiles(_ columns: Int) -> Int { max(1, (columns + RowsWalk.tileColumns - 1) / RowsWalk.tileColumns) }
    return 20 * count + 8 * (rows * tiles(columns) + columns * tiles(rows))
  }

  /// The same of a pattern that is there. Where it is strips, what they borrow is counted instead of a walk, and the panels that
  /// their weight gradient turns.
  package static func walkBytes(of pattern: CompressedRows, tokens: Int) -> Int {
    let whole = walkBytes(rows: pattern.rows, columns: pattern.columns, count: pattern.count, tokens: tokens)
    guard (tokens + 15) / 16 >= panelsWorthTiling, let kernels = fg_kernels_named(available[0])?.pointee else {
      return whole
    }
    let tileRows = Int(kernels.tileRows), walks = pattern.walks
    let rows = walks.rowStrips(of: pattern, tileRows: tileRows)
    let columns = walks.columnStrips(of: pattern, tileRows: tileRows)
    guard rows != nil || columns != nil else { return whole }
    let copies = Set([rows, columns].compactMap { $0.map { patternBytes(floats: $0.area) } }).reduce(0, +)
    let isWalked = rows == nil || columns == nil || rows?.suitGradient == false
    let turned = rows?.suitGradient == true ? turnedBytes(inputs: pattern.columns, tokens: tokens) : 0
    return copies + turned + (isWalked ? whole : 0)
  }

  public func multiplyTransposed(
    _ pattern: CompressedRows, _ values: Vector, _ dy: Activations, into dx: Activations, accumulate: Bool
  ) throws {
    precondition(dy.features == pattern.rows && dx.features == pattern.columns && values.count == pattern.count)
    if CPUDevice.fewOfRows.contains(dy.tokens) {
      precondition(dy.tokens == dx.tokens)
      count(flops: 2 * pattern.count * dy.tokens)
      return try multiplyFewTransposed(pattern, values, dy, dx, accumulate: accumulate)
    }
    let tiled = dy.panels >= CPUDevice.panelsWorthTiling
    if tiled, let strips = pattern.walks.columnStrips(of: pattern, tileRows: Int(kernels.tileRows)) {
      return try multiply(strips, values, dy, into: dx, accumulate: accumulate)
    }
    try multiply(pattern.walks.columns(of: pattern, tiled: tiled), values, dy, dx, accumulate: accumulate)
  }

  private func multiply(_ walk: RowsWalk, _ values: Vector, _ x: Activations, _ y: Activations, accumulate: Bool) throws
  {
    precondition(x.tokens == y.tokens)
    let past = !accumulate && CPUDevice.passesCaches(y)
    try withValues(walk, values) { values in
      let panelsAtOnce = Int(kernels.rowPanels)
      let lineFloats = panelsAtOnce * walk.columnsPerTile * 16
      let sumFloats = panelsAtOnce * min(walk.rows, walk.rowsPerChunk) * 16
      try withBuffer(byteCount: (lineFloats + sumFloats) * 4 * threads) { scratch in
        overGroups(walk, panels: x.panels) { chunk, panels, worker in
          let lines =
            scratch.address.assumingMemoryBound(to: Float.self) + worker * (lineFloats + sumFloats)
          let sums = lines + lineFloats
          let rows = chunk * walk.rowsPerChunk..<min(walk.rows, (chunk + 1) * walk.rowsPerChunk)
          var product = fg_spmm()
          product.value = values
          product.panels = Int32(panels.count)
          product.y = sums - rows.lowerBound * panels.count * 16
          self.overTiles(walk, chunk, x, panels, lines) { tile, entries, x in
            product.row = tile.row
            product.start = tile.start
            product.column = tile.column
            product.begin = entries.lowerBound
            product.end = entries.upperBound
            product.x = x
            self.kernels.spmm(&product)
            product.accumulate = 1
          }
          self.kernels.scatterLines(
            rows.count, sums, panels.count, y.panel(panels.lowerBound) + rows.lowerBound * 16, y.features * 16,
            accumulate ? 1 : 0, past ? 1 : 0)
          if past { fg_finish_past() }
        }
      }
    }
    count(flops: 2 * walk.count * x.tokens)
  }

  public func accumulateGradient(
    _ pattern: CompressedRows, dy: Activations, x: Activations, into dvalues: Vector
  ) throws {
    precondition(dy.features == pattern.rows && x.features == pattern.columns && dvalues.count == pattern.count)
    precondition(x.tokens == dy.tokens)
    if CPUDevice.fewOfRows.contains(x.tokens) {
      count(flops: 2 * pattern.count * x.tokens)
      return try accumulateFewGradient(pattern, dy: dy, x: x, into: dvalues)
    }
    let tiled = x.panels >= CPUDevice.panelsWorthTiling
    if tiled, let strips = pattern.walks.rowStrips(of: pattern, tileRows: Int(kernels.tileRows)), strips.suitGradient {
      return try accumulateGradient(strips, dy: dy, x: x, into: dvalues)
    }
    let walk = pattern.walks.rows(of: pattern, tiled: tiled)
    let panelsAtOnce = Int(kernels.rowPanels)
    let lineFloats = panelsAtOnce * walk.columnsPerTile * 16
    try withGradients(walk, dvalues) { gradients in
      try withBuffer(byteCount: lineFloats * 4 * threads) { scratch in
        // One task sums over all tokens of its rows: the order of a sum does not depend on the threads.
        pool.run(walk.chunks) { chunk, worker in
          let lines = scratch.address.assumingMemoryBound(to: Float.self) + worker * lineFloats
          var product = fg_sddmm()
          product.value = gradients
          product.dyPanel = dy.features * 16
          for first in stride(from: 0, to: x.panels, by: panelsAtOnce) {
            let panels = first..<min(x.panels, first + panelsAtOnce)
            product.panels = Int32(panels.count)
            product.dy = UnsafePointer(dy.panel(first))
            self.overTiles(walk, chunk, x, panels, lines) { tile, entries, x in
              product.row = tile.row
              product.start = tile.start
              product.column = tile.column
              product.begin = entries.lowerBound
              product.end = entries.upperBound
              product.x = x
              self.kernels.sddmm(&product)
            }
          }
        }
      }
    }
    count(flops: 2 * pattern.count * x.tokens)
  }

  /// Every chunk of rows with every group of panels. One task is a group with all chunks, whose lines of x then come from
  /// the second-level cache; where that leaves threads without work, a chunk and some groups.
  private func overGroups(_ walk: RowsWalk, panels: Int, _ body: (_ chunk: Int, Range<Int>, _ worker: Int) -> Void) {
    let panelsAtOnce = Int(kernels.rowPanels), chunks = walk.chunks
    let groups = (panels + panelsAtOnce - 1) / panelsAtOnce
    let isEnough = groups >= 4 * threads
    let chunksPerTask = isEnough ? max(1, chunks) : 1
    // Else as many tasks as keep a few threads busy.
    let groupsPerTask = isEnough ? 1 : max(1, min(CPUDevice.groupsPerTask, groups * chunks / 8))
    let across = (chunks + chunksPerTask - 1) / chunksPerTask
    pool.run(across * ((groups + groupsPerTask - 1) / groupsPerTask)) { task, worker in
      let (piece, place) = task.quotientAndRemainder(dividingBy: across)
      for group in piece * groupsPerTask..<min(groups, (piece + 1) * groupsPerTask) {
        let some = group * panelsAtOnce..<min(panels, (group + 1) * panelsAtOnce)
        for chunk in place * chunksPerTask..<min(chunks, (place + 1) * chunksPerTask) { body(chunk, some, worker) }
      }
    }
  }

  private typealias WalkPointers = (
    row: UnsafePointer<Int32>?, start: UnsafePointer<Int32>?, column: UnsafePointer<Int32>?
  )

  /// Every tile of a chunk, with its entries and the lines of `panels` of x side by side; the pointer is column 0's.
  private func overTiles(
    _ walk: RowsWalk, _ chunk: Int, _ x: Activations, _ panels: Range<Int>, _ lines: UnsafeMutablePointer<Float>,
    _ body: (WalkPointers, _ entries: Range<Int>, _ x: UnsafePointer<Float>) -> Void
  ) {
    walk.row.withUnsafeBufferPointer { row in
      walk.start.withUnsafeBufferPointer { start in
        walk.column.withUnsafeBufferPointer { column in
          let tiles = walk.tiles
          for tile in 0..<tiles {
            let first = tile * walk.columnsPerTile
            self.kernels.gatherLines(
              min(walk.columnsPerTile, walk.columns - first), x.panel(panels.lowerBound) + first * 16, x.features * 16,
              panels.count, lines)
            body(
              (row.baseAddress, start.baseAddress, column.baseAddress),
              walk.first[chunk * tiles + tile]..<walk.first[chunk * tiles + tile + 1],
              UnsafePointer(lines) - first * panels.count * 16)
          }
        }
      }
    }
  }

  private func overValues(_ count: Int, _ body: (Range<Int>) -> Void) {
    let piece = 1 << 15
    pool.run((count + piece - 1) / piece) { body($0 * piece..<min(count, ($0 + 1) * piece)) }
  }

  /// Lends the values in the order of the walk.
  private func withValues(_ walk: RowsWalk, _ values: Vector, _ body: (UnsafePointer<Float>) throws -> Void) throws {
    let given = UnsafePointer(values.pointer)
    guard let source = walk.source else { return try body(given) }
    try withBuffer(byteCount: CPUDevice.patternBytes(floats: walk.count)) { buffer in
      let turned = buffer.address.assumingMemoryBound(to: Float.self)
      source.withUnsafeBufferPointer { source in
        overValues(walk.count) { range in for k in range { turned[k] = given[Int(source[k])] } }
      }
      try body(UnsafePointer(turned))
    }
  }

  /// Lends sums in the order of the walk, zero at first, and adds them to the gradients.
  private func withGradients(
    _ walk: RowsWalk, _ dvalues: Vector, _ body: (UnsafeMutablePointer<Float>) throws -> Void
  ) throws {
    let target = dvalues.pointer
    guard let source = walk.source else { return try body(target) }
    try withBuffer(byteCount: CPUDevice.patternBytes(floats: walk.count)) { buffer in
      let sums = buffer.address.assumingMemoryBound(to: Float.self)
      overValues(walk.count) { range in memset(sums + range.lowerBound, 0, range.count * 4) }
      try body(sums)
      source.withUnsafeBufferPointer { source in
        overValues(walk.count) { range in for k in range { target[Int(source[k])] += sums[k] } }
      }
    }
  }
}
