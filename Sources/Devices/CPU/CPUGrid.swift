import Arrays
import CKernels
import Glibc

/// The three products of a `BlockGrid`.
///
/// All of them are one register tile, rows x 16 lanes (`multiply` in kernels.def): forward and input gradient have
/// tokens in the lanes; the weight gradient has inputs in the lanes, after the activations have been turned once.
/// A task is up to ``rowsPerTask`` rows of one block row for a group of panels; a long sum over one block is cut into
/// pieces of ``longestSum``, whose lines stay in the first-level cache, and the weights of a piece are packed
/// once for all panels of the group. Shorter blocks are packed all at once, before the first product, where there are panels
/// enough to pay for it; one short matrix goes piece by piece too, lest a copy of an output layer be held.
extension CPUDevice {
  private static let rowsPerTask = 96
  private static let longestSum = 256
  /// A copy of the weights pays from this many panels on.
  private static let panelsWorthPacking = 8
  /// A copy of all blocks, which is read from beyond the second-level cache again, from this many.
  private static let panelsWorthPackingBlocks = 16
  /// Panels of one piece of the weight gradient's sum. Where a row has weights enough to pay for a packed copy of its dy,
  /// 16; otherwise 8: panels often lie a multiple of 64 KiB apart, and caches have few more than 8 places for such lines.
  static let panelsPerPackedSum = 16
  static let panelsPerSum = 8
  static let weightsWorthPacking = 256

  /// From 16 MiB on a result is taken to be in no cache when it is met again, and writing it there costs a read. Where a
  /// third-level cache would have held it, that is a loss.
  static func passesCaches(_ y: Activations) -> Bool { y.panels * y.features * 64 >= 16 << 20 }

  public func multiply(
    _ grid: BlockGrid, _ values: Vector, _ x: Activations, into y: Activations, accumulate: Bool
  ) throws {
    precondition(x.features == grid.inputs.features && y.features == grid.outputs.features)
    try multiply(
      GridProduct(
        outputs: grid.outputs, inputs: grid.inputs, start: grid.rowStart, neighbour: grid.column, block: nil,
        rowStride: grid.inputs.members, stepStride: 1),
      values, x, into: y, accumulate: accumulate, stored: grid.count)
  }

  public func multiplyTransposed(
    _ grid: BlockGrid, _ values: Vector, _ dy: Activations, into dx: Activations, accumulate: Bool
  ) throws {
    precondition(dx.features == grid.inputs.features && dy.features == grid.outputs.features)
    try multiply(
      GridProduct(
        outputs: grid.inputs, inputs: grid.outputs, start: grid.columnStart, neighbour: grid.row, block: grid.block,
        rowStride: 1, stepStride: grid.inputs.members),
      values, dy, into: dx, accumulate: accumulate, stored: grid.count)
  }

  private func multiply(
    _ product: GridProduct, _ values: Vector, _ x: Activations, into y: Activations, accumulate: Bool, stored: Int
  ) throws {
    precondition(values.count == stored && x.tokens == y.tokens)
    let panels = x.panels
    guard panels > 0 else { return }
    if CPUDevice.fewOfBlocks.contains(x.tokens), fillsLanes(product) {
      count(flops: 2 * stored * x.tokens)
      return try multiplyFew(product, x, accumulate: accumulate) {
        self.tile(product, $0, values, x, y, panels: 0..<1)
      }
    }
    let units = product.units(rowsPerTask: CPUDevice.rowsPerTask)
    let isShort = product.inputs.members <= CPUDevice.longestSum
    let inPieces = !isShort || product.outputs.groups == 1 && product.inputs.groups == 1
    // A group of panels that stays in the second-level cache beside a task's weights, and leaves work for every thread.
    let most =
      inPieces
      ? min(128, max(CPUDevice.panelsWorthPacking, panels * units.count / (4 * threads)))
      : max(4, 4096 / x.features)
    let groups = (panels + most - 1) / most
    let group = (panels + groups - 1) / groups
    let packsBlocks = !inPieces && panels >= CPUDevice.panelsWorthPackingBlocks && product.inputs.stride == 1
    let pieceFloats = CPUDevice.rowsPerTask * CPUDevice.longestSum
    try withBuffer(byteCount: packsBlocks ? CPUDevice.patternBytes(floats: stored) : 4 * pieceFloats * threads) {
      scratch in
      let packed = scratch.address.assumingMemoryBound(to: Float.self)
      if packsBlocks {
        pool.run(units.count) { task, _ in
          var tile = self.tile(product, units[task], values, x, y, panels: 0..<1)
          product.withBlocks(of: units[task], &tile) {
            self.kernels.pack(&$0, packed + product.packedOffset(of: units[task]))
          }
        }
      }
      pool.run(units.count * groups) { task, worker in
        let unit = units[task % units.count]
        let first = task / units.count * group
        var tile = self.tile(product, unit, values, x, y, panels: first..<min(panels, first + group))
        tile.accumulate = accumulate ? 1 : 0
        tile.past = isShort && !accumulate && CPUDevice.passesCaches(y) ? 1 : 0
        if inPieces {
          self.multiplyPieces(product, unit, &tile, pack: packed + worker * pieceFloats)
        } else {
          product.withBlocks(of: unit, &tile) {
            if packsBlocks {
              $0.w = UnsafePointer(packed + product.packedOffset(of: unit))
              $0.packed = 1
            }
            self.kernels.multiply(&$0)
          }
        }
        if tile.past != 0 { fg_finish_past() }
      }
    }
    count(flops: 2 * stored * x.tokens)
  }

  /// The tile of one task, all but the blocks it sums over.
  private func tile(
    _ product: GridProduct, _ unit: GridProduct.Unit, _ values: Vector, _ x: Activations, _ y: Activations,
    panels: Range<Int>
  ) -> fg_product {
    var tile = fg_product()
    tile.w = UnsafePointer(values.pointer) + unit.rows.lowerBound * product.rowStride
    tile.wSegment = product.outputs.members * product.inputs.members
    tile.wRow = product.rowStride
    tile.wStep = product.stepStride
    tile.x = UnsafePointer(x.panel(panels.lowerBound))
    tile.xPanel = x.features * 16
    tile.xSegment = product.inputs.groupStride * 16
    tile.xStep = product.inputs.stride * 16
    tile.y = y.panel(panels.lowerBound) + product.outputs.feature(unit.group, unit.rows.lowerBound) * 16
    tile.yPanel = y.features * 16
    tile.yRow = product.outputs.stride * 16
    tile.panels = panels.count
    tile.rows = unit.rows.count
    tile.segments = 1
    tile.length = product.inputs.members
    tile.columns = 16
    return tile
  }

  /// Blocks too long for one sum, or one block: piece after piece, each added to what is there.
  private func multiplyPieces(
    _ product: GridProduct, _ unit: GridProduct.Unit, _ tile: inout fg_product, pack: UnsafeMutablePointer<Float>
  ) {
    let w = tile.w!, x = tile.x!
    let packs = tile.panels >= CPUDevice.panelsWorthPacking && tile.xStep == 16
    let begin = Int(product.start[unit.group]), end = Int(product.start[unit.group + 1])
    if begin == end {
      tile.segments = 0
      kernels.multiply(&tile)
    }
    for k in begin..<end {
      let block = w + (product.block.map { Int($0[k]) } ?? k) * tile.wSegment
      let lines = x + Int(product.neighbour[k]) * tile.xSegment
      for piece in stride(from: 0, to: product.inputs.members, by: CPUDevice.longestSum) {
        tile.length = min(CPUDevice.longestSum, product.inputs.members - piece)
        tile.w = block + piece * product.stepStride
        if packs {
          tile.packed = 0
          kernels.pack(&tile, pack)
          tile.w = UnsafePointer(pack)
          tile.packed = 1
        }
        tile.x = lines + piece * tile.xStep
        kernels.multiply(&tile)
        tile.accumulate = 1
      }
    }
  }

  public func accumulateGradient(
    _ grid: BlockGrid, dy: Activations, x: Activations, into dvalues: Vector
  ) throws {
    precondition(x.features == grid.inputs.features && dy.features == grid.outputs.features)
    precondition(dvalues.count == grid.count && x.tokens == dy.tokens)
    count(flops: 2 * grid.count * x.tokens)
    let columns = grid.inputs.members, squares = (columns + 15) / 16
    if CPUDevice.fewOfBlocks.contains(x.tokens), columns >= 8 {
      return try accumulateFewGradient(grid, dy: dy, x: x, into: dvalues)
    }
    guard columns >= CPUDevice.narrowColumns else {
      return try accumulateNarrowGradient(grid, dy: dy, x: x, into: dvalues)
    }
    let packs = grid.count >= CPUDevice.weightsWorthPacking * dy.features
    // Of one panel that is not full only the live tokens are summed.
    let tokens = min(16, x.tokens)
    let panelsAtOnce = max(1, min(packs ? CPUDevice.panelsPerPackedSum : CPUDevice.panelsPerSum, x.panels))
    let squareFloats = panelsAtOnce * 256
    let packFloats = packs ? CPUDevice.rowsPerTask * panelsAtOnce * 16 : 0
    let units = GridProduct(
      outputs: grid.outputs, inputs: grid.inputs, start: grid.rowStart, neighbour: grid.column, block: nil,
      rowStride: columns, stepStride: 1
    ).units(rowsPerTask: CPUDevice.rowsPerTask)
    try withBuffer(byteCount: (grid.inputs.groups * squares * squareFloats + packFloats * threads) * 4) { buffer in
      let turned = buffer.address.assumingMemoryBound(to: Float.self)
      let copies = turned + grid.inputs.groups * squares * squareFloats
      for first in stride(from: 0, to: x.panels, by: panelsAtOnce) {
        let panels = first..<min(x.panels, first + panelsAtOnce)
        pool.run(grid.inputs.groups * squares) { index in
          self.turn(
            x, panels, grid.inputs, group: index / squares, square: index % squares, turned + index * squareFloats)
        }
        pool.run(units.count) { task, worker in
          let unit = units[task]
          var tile = self.gradientTile(
            dy, panels, feature: grid.outputs.feature(unit.group, unit.rows.lowerBound), stride: grid.outputs.stride)
          tile.yRow = columns
          tile.xPanel = squareFloats
          tile.rows = unit.rows.count
          tile.length = tokens
          tile.accumulate = 1
          if packs && grid.rowStart[unit.group] < grid.rowStart[unit.group + 1] {
            let copy = copies + worker * packFloats
            self.kernels.pack(&tile, copy)
            tile.w = UnsafePointer(copy)
            tile.packed = 1
            tile.length = tokens * panels.count
            tile.segments = 1
          }
          for k in Int(grid.rowStart[unit.group])..<Int(grid.rowStart[unit.group + 1]) {
            let square = turned + Int(grid.column[k]) * squares * squareFloats
            let block = dvalues.pointer + (k * grid.outputs.members + unit.rows.lowerBound) * columns
            tile.x = UnsafePointer(square)
            tile.y = block
            tile.panels = columns / 16
            tile.columns = 16
            if tile.panels > 0 { self.kernels.multiply(&tile) }
            if columns % 16 > 0 {
              tile.x += tile.panels * squareFloats
              tile.y += tile.panels * 16
              tile.panels = 1
              tile.columns = Int32(columns % 16)
              self.kernels.multiply(&tile)
            }
          }
        }
      }
    }
  }

  /// A tile of a weight gradient, whose weights are the rows of dy from `feature` on and whose lines those that `turn` makes:
  /// squares side by side are to the kernel what panels are elsewhere, they share the rows of dy.
  func gradientTile(_ dy: Activations, _ panels: Range<Int>, feature: Int, stride: Int) -> fg_product {
    var tile = fg_product()
    tile.w = UnsafePointer(dy.panel(panels.lowerBound) + feature * 16)
    tile.wSegment = dy.features * 16
    tile.wRow = stride * 16
    tile.wStep = 1
    tile.xSegment = 256
    tile.xStep = 16
    tile.yPanel = 16
    tile.columns = 16
    tile.segments = panels.count
    return tile
  }

  /// What a product of blocks with as many weights borrows for their packed copy, at most.
  package static func packedBytes(stored: Int, tokens: Int) -> Int {
    (tokens + 15) / 16 >= panelsWorthPackingBlocks ? patternBytes(floats: stored) : 0
  }

  /// The most that a dense weight gradient borrows for the panels that it turns at once.
  package static func turnedBytes(inputs: Int, tokens: Int) -> Int {
    (inputs + 15) / 16 * min(panelsPerPackedSum, (tokens + 15) / 16) * 1024
  }

  /// 16 features of some panels, token-major: [panels * 16 tokens, 16 features], zeros beyond the group's members.
  func turn(
    _ x: Activations, _ panels: Range<Int>, _ groups: FeatureGroups, group: Int, square: Int,
    _ target: UnsafeMutablePointer<Float>
  ) {
    let members = min(16, groups.members - square * 16)
    let line = groups.feature(group, square * 16) * 16
    for (index, panel) in panels.enumerated() {
      let source = x.panel(panel) + line, square = target + index * 256
      if members == 16 {
        kernels.transpose(source, groups.stride * 16, square, 16)
      } else {
        memset(square, 0, 1024)
        for i in 0..<members {
          for t in 0..<16 { square[t * 16 + i] = source[i * groups.stride * 16 + t] }
        }
      }
    }
  }
}

/// One direction of a grid: what `multiply` walks, whether forward or transposed.
struct GridProduct {
  let outputs: FeatureGroups
  let inputs: FeatureGroups
  let start: [Int32]
  let neighbour: [Int32]
  /// Index of the block in the values; nil when they are met in order.
  let block: [Int32]?
  let rowStride: Int
  let stepStride: Int

  struct Unit {
    let group: Int
    let rows: Range<Int>
  }

  /// Lends a tile that sums over all blocks of its rows at once.
  func withBlocks(of unit: Unit, _ tile: inout fg_product, _ body: (inout fg_product) -> Void) {
    start.withUnsafeBufferPointer { start in
      neighbour.withUnsafeBufferPointer { neighbour in
        let begin = Int(start[unit.group])
        tile.segments = Int(start[unit.group + 1]) - begin
        tile.xIndex = neighbour.baseAddress.map { $0 + begin }
        guard let block else {
          tile.w += begin * tile.wSegment
          return body(&tile)
        }
        block.withUnsafeBufferPointer {
          tile.wIndex = $0.baseAddress.map { $0 + begin }
          body(&tile)
        }
      }
    }
  }

  /// Where a unit's weights begin, in floats, when those of all units are packed one after another.
  func packedOffset(of unit: Unit) -> Int {
    let begin = Int(start[unit.group]), blocks = Int(start[unit.group + 1]) - begin
    return inputs.members * (begin * outputs.members + unit.rows.lowerBound * blocks)
  }

  /// The rows of all groups in pieces of at most `rowsPerTask`, as equal as can be.
  func units(rowsPerTask: Int) -> [Unit] {
    let pieces = (outputs.members + rowsPerTask - 1) / rowsPerTask
    return (0..<outputs.groups).flatMap { group in
      (0..<pieces).map { piece in
        Unit(group: group, rows: piece * outputs.members / pieces..<(piece + 1) * outputs.members / pieces)
      }
    }
  }
}
