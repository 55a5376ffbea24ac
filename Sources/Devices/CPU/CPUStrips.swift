import Arrays
import CKernels
import Glibc

/// The three products of `CompressedRows` whose rows make strips: the register tile of dense matrices, strip after strip.
///
/// A row of a band of W columns costs some W + 6 I/O steps of a tile of six rows, instead of a broadcast and an index for
/// every weight. A task is the strips of a chunk for a group of panels; from one strip to the next the lines of x are nearly the
/// same and stay in the first-level cache.
extension CPUDevice {
  private static let panelsPerTask = 16

  /// y (+)= W x with W's weights in the strips.
  func multiply(
    _ strips: RowStrips, _ values: Vector, _ x: Activations, into y: Activations, accumulate: Bool
  ) throws {
    precondition(x.tokens == y.tokens)
    let past = !accumulate && CPUDevice.passesCaches(y)
    let groups = (x.panels + CPUDevice.panelsPerTask - 1) / CPUDevice.panelsPerTask
    try withBuffer(byteCount: CPUDevice.patternBytes(floats: strips.area)) { buffer in
      let packed = buffer.address.assumingMemoryBound(to: Float.self)
      pool.run(strips.chunks.count) { chunk, _ in
        for strip in strips.strips[strips.chunks[chunk]] { strips.pack(strip, values.pointer, packed + strip.offset) }
      }
      pool.run(strips.chunks.count * groups) { task, _ in
        let (group, chunk) = task.quotientAndRemainder(dividingBy: strips.chunks.count)
        let first = group * CPUDevice.panelsPerTask, last = min(x.panels, first + CPUDevice.panelsPerTask)
        var tile = fg_product()
        tile.packed = 1
        tile.wRow = 1
        tile.xPanel = x.features * 16
        tile.xStep = 16
        tile.yPanel = y.features * 16
        tile.yRow = 16
        tile.segments = 1
        tile.columns = 16
        tile.accumulate = accumulate ? 1 : 0
        tile.past = past ? 1 : 0
        for panel in stride(from: first, to: last, by: Int(self.kernels.tilePanels)) {
          tile.panels = min(last - panel, Int(self.kernels.tilePanels))
          for strip in strips.strips[strips.chunks[chunk]] {
            tile.w = UnsafePointer(packed) + strip.offset
            tile.x = UnsafePointer(x.panel(panel)) + strip.columns.lowerBound * 16
            tile.y = y.panel(panel) + strip.rows.lowerBound * 16
            tile.rows = strip.rows.count
            tile.length = strip.columns.count
            self.kernels.multiply(&tile)
          }
        }
        if past { fg_finish_past() }
      }
    }
    count(flops: 2 * strips.column.count * x.tokens)
  }

  /// dvalues += (dy x') on the pattern whose rows, in order, make the strips.
  func accumulateGradient(_ strips: RowStrips, dy: Activations, x: Activations, into dvalues: Vector) throws {
    let rows = dy.features, count = strips.column.count
    let packs = count >= CPUDevice.weightsWorthPacking * rows
    let tokens = min(16, x.tokens)
    let panelsAtOnce = max(1, min(packs ? CPUDevice.panelsPerPackedSum : CPUDevice.panelsPerSum, x.panels))
    let squares = (strips.columns + 15) / 16, squareFloats = panelsAtOnce * 256
    let tileRows = Int(kernels.tileRows)
    let packFloats = packs ? tileRows * panelsAtOnce * 16 : 0
    // Of any strip of so many columns: patterns change in training, and a buffer is kept for every size.
    let sumFloats = tileRows * 16 * squares
    let features = FeatureGroups.contiguous(groups: 1, members: strips.columns)
    try withBuffer(byteCount: 4 * (squares * squareFloats + (packFloats + sumFloats) * threads)) { buffer in
      let turned = buffer.address.assumingMemoryBound(to: Float.self)
      let rest = turned + squares * squareFloats
      for first in stride(from: 0, to: x.panels, by: panelsAtOnce) {
        let panels = first..<min(x.panels, first + panelsAtOnce)
        pool.run(squares) {
          self.turn(x, panels, features, group: 0, square: $0, turned + $0 * squareFloats)
        }
        pool.run(strips.chunks.count) { chunk, worker in
          let sums = rest + worker * (packFloats + sumFloats)
          for strip in strips.strips[strips.chunks[chunk]] {
            let touched = strip.squares
            var tile = self.gradientTile(dy, panels, feature: strip.rows.lowerBound, stride: 1)
            tile.x = UnsafePointer(turned + touched.lowerBound * squareFloats)
            tile.xPanel = squareFloats
            tile.y = sums
            tile.yRow = touched.count * 16
            tile.rows = strip.rows.count
            tile.panels = touched.count
            tile.length = tokens
            if packs {
              self.kernels.pack(&tile, sums + sumFloats)
              tile.w = UnsafePointer(sums + sumFloats)
              tile.packed = 1
              tile.length = tokens * panels.count
              tile.segments = 1
            }
            self.kernels.multiply(&tile)
            strips.add(sums, rowLength: tile.yRow, firstColumn: touched.lowerBound * 16, of: strip, to: dvalues.pointer)
          }
        }
      }
    }
    self.count(flops: 2 * count * x.tokens)
  }
}

extension RowStrips {
  /// A strip's weights as the register tile reads them, [columns, rows], zeros where there is none.
  fileprivate func pack(_ strip: Strip, _ values: UnsafePointer<Float>, _ target: UnsafeMutablePointer<Float>) {
    let rows = strip.rows.count
    memset(target, 0, strip.columns.count * rows * 4)
    column.withUnsafeBufferPointer { column in
      for (place, row) in strip.rows.enumerated() {
        let line = target + place - strip.columns.lowerBound * rows, weights = weights(ofRow: row)
        if let source {
          source.withUnsafeBufferPointer { source in
            for k in weights { line[Int(column[k]) * rows] = values[Int(source[k])] }
          }
        } else {
          for k in weights { line[Int(column[k]) * rows] = values[k] }
        }
      }
    }
  }

  /// Adds sums [rows, rowLength], of which the first column is `firstColumn`, to the gradients of the strip's weights.
  fileprivate func add(
    _ sums: UnsafePointer<Float>, rowLength: Int, firstColumn: Int, of strip: Strip,
    to gradients: UnsafeMutablePointer<Float>
  ) {
    for (place, row) in strip.rows.enumerated() {
      let line = sums + place * rowLength - firstColumn, weights = weights(ofRow: row)
      if let columns = run(weights) {
        let target = gradients + weights.lowerBound - columns.lowerBound
        for c in columns { target[c] += line[c] }
      } else {
        for k in weights { gradients[k] += line[Int(column[k])] }
      }
    }
  }
}
