import Arrays
import CKernels

/// The weight gradient of blocks with few columns, weight by weight, as that of compressed rows: lanes of 16 inputs, as wide
/// blocks have them, would multiply mostly nothing.
extension CPUDevice {
  /// Half a line of lanes: from here on the tile of lanes is no slower.
  static let narrowColumns = 8
  private static let mostPieces = 8

  func accumulateNarrowGradient(
    _ grid: BlockGrid, dy: Activations, x: Activations, into dvalues: Vector
  ) throws {
    let panelsAtOnce = Int(kernels.rowPanels), lineFloats = panelsAtOnce * x.features * 16
    let pieces = min(grid.blocks, CPUDevice.mostPieces)
    try withBuffer(byteCount: max(1, lineFloats * 4 * threads)) { scratch in
      // A piece of the blocks sums over all tokens: the order of a sum does not depend on the threads.
      pool.run(pieces) { piece, worker in
        let lines = scratch.address.assumingMemoryBound(to: Float.self) + worker * lineFloats
        let entries = NarrowEntries(grid, piece * grid.blocks / pieces..<(piece + 1) * grid.blocks / pieces)
        var product = fg_sddmm()
        product.value = dvalues.pointer
        product.dyPanel = dy.features * 16
        product.end = entries.row.count
        for first in stride(from: 0, to: x.panels, by: panelsAtOnce) {
          let panels = min(panelsAtOnce, x.panels - first)
          self.kernels.gatherLines(x.features, x.panel(first), x.features * 16, panels, lines)
          product.panels = Int32(panels)
          product.dy = UnsafePointer(dy.panel(first))
          product.x = UnsafePointer(lines)
          entries.withPointers { row, start, column in
            product.row = row
            product.start = start
            product.column = column
            self.kernels.sddmm(&product)
          }
        }
      }
    }
  }
}

/// Some blocks of a grid as entries of the sampled product: one for each row of each block, in the order in which values lie.
private struct NarrowEntries {
  private(set) var row: [Int32] = []
  private var start: [Int32] = []
  /// Of the blocks' own weights; the pointer lent is that of weight 0.
  private var column: [Int32] = []
  private let firstWeight: Int

  init(_ grid: BlockGrid, _ blocks: Range<Int>) {
    let rows = grid.outputs.members, columns = grid.inputs.members
    firstWeight = blocks.lowerBound * rows * columns
    row.reserveCapacity(blocks.count * rows)
    start.reserveCapacity(blocks.count * rows + 1)
    column.reserveCapacity(blocks.count * rows * columns)
    var group = 0
    for block in blocks {
      while Int(grid.rowStart[group + 1]) <= block { group += 1 }
      for r in 0..<rows {
        row.append(Int32(grid.outputs.feature(group, r)))
        start.append(Int32((block * rows + r) * columns))
        for c in 0..<columns { column.append(Int32(grid.inputs.feature(Int(grid.column[block]), c))) }
      }
    }
    start.append(Int32(blocks.upperBound * rows * columns))
  }

  func withPointers(
    _ body: (UnsafePointer<Int32>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?) -> Void
  ) {
    row.withUnsafeBufferPointer { row in
      start.withUnsafeBufferPointer { start in
        column.withUnsafeBufferPointer { column in
          body(row.baseAddress, start.baseAddress, column.baseAddress.map { $0 - firstWeight })
        }
      }
    }
  }
}
