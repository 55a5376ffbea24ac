import Arrays
import CKernels

/// The three products of `CompressedRows`: weights are broadcast, lanes are tokens, four panels at once.
extension CPUDevice {
  /// Panels of one task: enough to use an index four times, few enough for a share of the second-level cache.
  private static let panelsAtOnce = 4
  private static let rowsPerTask = 128

  public func multiply(
    _ pattern: CompressedRows, _ values: Vector, _ x: Activations, into y: Activations, accumulate: Bool
  ) throws {
    precondition(x.features == pattern.columns && y.features == pattern.rows && values.count == pattern.count)
    multiply(
      rows: pattern.rows, start: pattern.rowStart, column: pattern.column, UnsafePointer(values.pointer), x, y,
      accumulate: accumulate)
  }

  public func multiplyTransposed(
    _ pattern: CompressedRows, _ values: Vector, _ dy: Activations, into dx: Activations, accumulate: Bool
  ) throws {
    precondition(dy.features == pattern.rows && dx.features == pattern.columns && values.count == pattern.count)
    // The values in the transpose's order: one gather for all tokens.
    try withBuffer(byteCount: max(1, pattern.count) * 4) { buffer in
      let turned = buffer.address.assumingMemoryBound(to: Float.self)
      let source = values.pointer
      let chunk = 1 << 15
      pattern.source.withUnsafeBufferPointer { order in
        pool.run((pattern.count + chunk - 1) / chunk) { task in
          for k in task * chunk..<min(pattern.count, (task + 1) * chunk) { turned[k] = source[Int(order[k])] }
        }
      }
      multiply(
        rows: pattern.columns, start: pattern.columnStart, column: pattern.row, UnsafePointer(turned), dy, dx,
        accumulate: accumulate)
    }
  }

  private func multiply(
    rows: Int, start: [Int32], column: [Int32], _ values: UnsafePointer<Float>, _ x: Activations, _ y: Activations,
    accumulate: Bool
  ) {
    precondition(x.tokens == y.tokens)
    let chunks = (rows + CPUDevice.rowsPerTask - 1) / CPUDevice.rowsPerTask
    let groups = (x.panels + CPUDevice.panelsAtOnce - 1) / CPUDevice.panelsAtOnce
    start.withUnsafeBufferPointer { start in
      column.withUnsafeBufferPointer { column in
        pool.run(chunks * groups) { task in
          let firstRow = task % chunks * CPUDevice.rowsPerTask
          let firstPanel = task / chunks * CPUDevice.panelsAtOnce
          var product = fg_spmm()
          product.begin = start.baseAddress
          product.end = start.baseAddress! + 1
          product.column = column.baseAddress
          product.value = values
          product.rowBegin = firstRow
          product.rowEnd = min(rows, firstRow + CPUDevice.rowsPerTask)
          product.x = UnsafePointer(x.panel(firstPanel))
          product.xPanel = x.features * 16
          product.y = y.panel(firstPanel)
          product.yPanel = y.features * 16
          product.panels = min(CPUDevice.panelsAtOnce, x.panels - firstPanel)
          product.accumulate = accumulate ? 1 : 0
          self.kernels.spmm(&product)
        }
      }
    }
    count(flops: 2 * column.count * x.tokens)
  }

  public func accumulateGradient(
    _ pattern: CompressedRows, dy: Activations, x: Activations, into dvalues: Vector
  ) throws {
    precondition(dy.features == pattern.rows && x.features == pattern.columns && dvalues.count == pattern.count)
    precondition(x.tokens == dy.tokens)
    let chunks = (pattern.rows + CPUDevice.rowsPerTask - 1) / CPUDevice.rowsPerTask
    pattern.rowStart.withUnsafeBufferPointer { start in
      pattern.column.withUnsafeBufferPointer { column in
        pool.run(chunks) { task in
          var product = fg_sddmm()
          product.begin = start.baseAddress
          product.end = start.baseAddress! + 1
          product.column = column.baseAddress
          product.value = dvalues.pointer
          product.rowBegin = task * CPUDevice.rowsPerTask
          product.rowEnd = min(pattern.rows, (task + 1) * CPUDevice.rowsPerTask)
          product.dy = UnsafePointer(dy.lines)
          product.dyPanel = dy.features * 16
          product.x = UnsafePointer(x.lines)
          product.xPanel = x.features * 16
          product.panels = x.panels
          self.kernels.sddmm(&product)
        }
      }
    }
    count(flops: 2 * pattern.count * x.tokens)
  }
}
