import Arrays
import CCUDA

/// The three products of `CompressedRows`: on tensor cores where the pattern's rule allows it (`CUDARuns.swift`); else the values
/// stay fp32, x and y are lines of elements.
extension CUDADevice {
  private static let source = "rows.cu"
  private static let line = 256

  public func multiply(
    _ pattern: CompressedRows, _ values: Vector, _ x: Activations, into y: Activations, accumulate: Bool
  ) throws {
    precondition(x.features == pattern.columns && y.features == pattern.rows && values.count == pattern.count)
    precondition(x.tokens == y.tokens)
    if try multiplyRuns(pattern, values, x, into: y, accumulate: accumulate) { return }
    let table = try tables.rows(pattern, on: self)
    try multiply(
      values, x, into: y, accumulate: accumulate, start: table.rowStart, column: table.column, source: nil)
  }

  public func multiplyTransposed(
    _ pattern: CompressedRows, _ values: Vector, _ dy: Activations, into dx: Activations, accumulate: Bool
  ) throws {
    precondition(dy.features == pattern.rows && dx.features == pattern.columns && values.count == pattern.count)
    precondition(dy.tokens == dx.tokens)
    if try multiplyRuns(pattern, values, dy, into: dx, accumulate: accumulate, transposed: true) { return }
    let table = try tables.rows(pattern, on: self)
    try multiply(
      values, dy, into: dx, accumulate: accumulate, start: table.columnStart, column: table.row, source: table.source)
  }

  private func multiply(
    _ values: Vector, _ x: Activations, into y: Activations, accumulate: Bool, start: UnsafePointer<Int32>,
    column: UnsafePointer<Int32>, source: UnsafePointer<Int32>?
  ) throws {
    var a = fg_rows()
    a.value = UnsafePointer(values.pointer)
    a.x = UnsafeRawPointer(x.buffer.address)
    a.y = y.buffer.address
    a.start = start
    a.column = column
    a.source = source
    a.rows = Int32(y.features)
    a.pitch = Int32(x.pitch)
    a.accumulate = accumulate ? 1 : 0
    count(flops: 2 * values.count * x.tokens)
    try launch(
      "rows_multiply", of: CUDADevice.source,
      grid: ((y.features + 7) / 8, (x.pitch + CUDADevice.line - 1) / CUDADevice.line), a)
  }

  public func accumulateGradient(
    _ pattern: CompressedRows, dy: Activations, x: Activations, into dvalues: Vector
  ) throws {
    precondition(dy.features == pattern.rows && x.features == pattern.columns && dvalues.count == pattern.count)
    precondition(x.tokens == dy.tokens)
    if try accumulateRunsGradient(pattern, dy: dy, x: x, into: dvalues) { return }
    let table = try tables.rows(pattern, on: self)
    var a = fg_rows()
    a.dvalue = dvalues.pointer
    a.x = UnsafeRawPointer(x.buffer.address)
    a.dy = UnsafeRawPointer(dy.buffer.address)
    a.start = table.rowStart
    a.column = table.column
    a.rows = Int32(pattern.rows)
    a.pitch = Int32(x.pitch)
    count(flops: 2 * pattern.count * x.tokens)
    guard x.tokens > 0 else { return }
    wrote(dvalues)
    try launch("rows_gradient", of: CUDADevice.source, grid: (pattern.rows, 1), a)
  }
}
