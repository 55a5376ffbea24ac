import Arrays
import CKernels
import Glibc

/// Products of few tokens, where weights are read for little arithmetic and lines are mostly zeros: the operands are made
/// compact.
extension CPUDevice {
  /// So many sums of blocks stay in registers, and weights are read once; with more tokens a line is no slower.
  static let fewOfBlocks = 1...4
  /// Single weights cost more than arithmetic: here up to eight tokens are few.
  static let fewOfRows = 1...8

  /// Weights of one piece of a transposed product of single weights, and the most pieces: each sums apart, whatever the threads.
  private static let weightsPerPiece = 1 << 15
  private static let mostPieces = 16

  /// Whether a block's rows or steps fill the lanes; where they do not, a line of tokens is no slower.
  func fillsLanes(_ product: GridProduct) -> Bool {
    let side = product.stepStride == 1 ? product.inputs.members : product.outputs.members
    return side.isMultiple(of: 16) || side >= 64
  }

  /// One direction of a grid, `tile` being all of a task but its blocks.
  func multiplyFew(
    _ product: GridProduct, _ x: Activations, accumulate: Bool, tile: (GridProduct.Unit) -> fg_product
  ) throws {
    // Rows that lie side by side are read in long runs.
    let rowsPerTask =
      product.stepStride == 1 ? 64 : min(1024, max(64, (product.outputs.members / threads + 15) / 16 * 16))
    let units = product.units(rowsPerTask: rowsPerTask), inputs = product.inputs, tokens = x.tokens
    try withCompact(x, inputs) { compact in
      pool.run(units.count) { task in
        let unit = units[task]
        var tile = tile(unit)
        tile.x = compact
        tile.xPanel = inputs.features
        tile.xSegment = inputs.members
        tile.xStep = 1
        tile.accumulate = accumulate ? 1 : 0
        product.withBlocks(of: unit, &tile) { self.kernels.multiplyFew(&$0, Int32(tokens)) }
      }
    }
  }

  /// The tokens of x one after another, group behind group: [tokens, features].
  private func withCompact(
    _ x: Activations, _ groups: FeatureGroups, _ body: (UnsafePointer<Float>) throws -> Void
  ) throws {
    try withBuffer(byteCount: max(64, groups.features * x.tokens * 4)) { scratch in
      let compact = scratch.address.assumingMemoryBound(to: Float.self)
      for group in 0..<groups.groups {
        for member in 0..<groups.members {
          let line = x.lines + groups.feature(group, member) * 16
          for t in 0..<x.tokens { compact[t * groups.features + group * groups.members + member] = line[t] }
        }
      }
      try body(UnsafePointer(compact))
    }
  }

  /// The weight gradient of few tokens: gradients are read and written as they lie, and there is nothing else to read.
  func accumulateFewGradient(
    _ grid: BlockGrid, dy: Activations, x: Activations, into dvalues: Vector
  ) throws {
    let columns = grid.inputs.members, outputs = grid.outputs
    let units = GridProduct(
      outputs: outputs, inputs: grid.inputs, start: grid.rowStart, neighbour: grid.column, block: nil,
      rowStride: columns, stepStride: 1
    ).units(rowsPerTask: 64)
    try withCompact(x, grid.inputs) { compact in
      pool.run(units.count) { task in
        let unit = units[task]
        var tile = fg_product()
        tile.w = UnsafePointer(dy.lines) + outputs.feature(unit.group, unit.rows.lowerBound) * 16
        tile.wRow = outputs.stride * 16
        tile.xPanel = grid.inputs.features
        tile.yRow = columns
        tile.rows = unit.rows.count
        tile.length = columns
        for k in Int(grid.rowStart[unit.group])..<Int(grid.rowStart[unit.group + 1]) {
          tile.x = compact + Int(grid.column[k]) * columns
          tile.y = dvalues.pointer + (k * outputs.members + unit.rows.lowerBound) * columns
          self.kernels.gradientFew(&tile, Int32(x.tokens))
        }
      }
    }
  }

  func multiplyFew(
    _ pattern: CompressedRows, _ values: Vector, _ x: Activations, _ y: Activations, accumulate: Bool
  ) throws {
    try withFew(pattern, values, columns: x, rows: y, fillRows: false) { few, run in
      run { self.kernels.spmmFew(&$0) }
      self.expand(few.y, Int(few.lanes), into: y, accumulate: accumulate)
    }
  }

  func multiplyFewTransposed(
    _ pattern: CompressedRows, _ values: Vector, _ dy: Activations, _ dx: Activations, accumulate: Bool
  ) throws {
    let pieces = min(CPUDevice.mostPieces, max(1, pattern.count / CPUDevice.weightsPerPiece))
    // Rows in pieces of about as many weights.
    let cuts = (0...pieces).map { piece in
      piece == pieces ? pattern.rows : pattern.firstRow(startingAt: (piece * pattern.count + pieces - 1) / pieces)
    }
    try withFew(pattern, values, columns: nil, rows: dy, fillRows: true) { few, _ in
      let numbers = pattern.columns * Int(few.lanes)
      try withBuffer(byteCount: max(64, pieces * numbers * 4)) { scratch in
        let sums = scratch.address.assumingMemoryBound(to: Float.self)
        pool.run(pieces) { piece in
          var few = few
          few.x = sums + piece * numbers
          memset(few.x, 0, numbers * 4)
          few.begin = cuts[piece]
          few.end = cuts[piece + 1]
          self.kernels.spmmFewTransposed(&few)
        }
        let run = 2048
        pool.run((numbers + run - 1) / run) { task in
          for piece in 1..<pieces {
            for i in task * run..<min(numbers, (task + 1) * run) { sums[i] += sums[piece * numbers + i] }
          }
        }
        self.expand(sums, Int(few.lanes), into: dx, accumulate: accumulate)
      }
    }
  }

  func accumulateFewGradient(
    _ pattern: CompressedRows, dy: Activations, x: Activations, into dvalues: Vector
  ) throws {
    try withFew(pattern, dvalues, columns: x, rows: dy, fillRows: true) { _, run in
      run { self.kernels.sddmmFew(&$0) }
    }
  }

  /// Lends the operands of a pattern compact, and a way to run a kernel over all its rows.
  private func withFew(
    _ pattern: CompressedRows, _ values: Vector, columns: Activations?, rows: Activations, fillRows: Bool,
    _ body: (fg_few, (@Sendable (inout fg_few) -> Void) -> Void) throws -> Void
  ) throws {
    let tokens = rows.tokens, lanes = tokens == 1 ? 1 : tokens <= 4 ? 4 : 8
    try withBuffer(byteCount: max(64, (pattern.rows + pattern.columns) * lanes * 4)) { scratch in
      try pattern.rowStart.withUnsafeBufferPointer { start in
        try pattern.column.withUnsafeBufferPointer { column in
          var few = fg_few()
          few.start = start.baseAddress
          few.column = column.baseAddress
          few.value = values.pointer
          few.lanes = Int32(lanes)
          few.x = scratch.address.assumingMemoryBound(to: Float.self)
          few.y = few.x + pattern.columns * lanes
          if let columns { self.compact(columns, lanes, into: few.x) }
          if fillRows { self.compact(rows, lanes, into: few.y) }
          let all = few, rowsPerTask = 256
          try body(all) { kernel in
            self.pool.run((pattern.rows + rowsPerTask - 1) / rowsPerTask) { task in
              var few = all
              few.begin = task * rowsPerTask
              few.end = min(pattern.rows, (task + 1) * rowsPerTask)
              kernel(&few)
            }
          }
        }
      }
    }
  }

  /// [features, lanes]: the tokens of each feature, then zeros.
  private func compact(_ x: Activations, _ lanes: Int, into target: UnsafeMutablePointer<Float>) {
    for f in 0..<x.features {
      for t in 0..<lanes { target[f * lanes + t] = t < x.tokens ? x.lines[f * 16 + t] : 0 }
    }
  }

  private func expand(
    _ source: UnsafePointer<Float>, _ lanes: Int, into y: Activations, accumulate: Bool
  ) {
    for f in 0..<y.features {
      let line = y.lines + f * 16
      if !accumulate { memset(line, 0, 64) }
      for t in 0..<y.tokens { line[t] += source[f * lanes + t] }
    }
  }
}

extension CompressedRows {
  /// The first row whose weights begin at `weight` or later; `rows` where there is none.
  fileprivate func firstRow(startingAt weight: Int) -> Int {
    var low = 0, high = rows
    while low < high {
      let middle = (low + high) / 2
      if Int(rowStart[middle]) < weight { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
