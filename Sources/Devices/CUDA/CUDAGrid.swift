import Arrays
import CCUDA

/// The three products of a `BlockGrid`, each by one of these ways:
///
/// - a diagonal of blocks (dense, block-diagonal, every factor) by cuBLASLt: one member of a batch for a group, and a stride
///   permutation is only another stride of the matrices;
/// - blocks whose sides are multiples of 16 in contiguous groups, in bf16, by the tensor-core kernels, in tiles that share where
///   there is enough in common (`CUDASharedGrid.swift`), or on Hopper by warpgroups (`CUDAWarpgroups.swift`);
/// - everything else by the general kernels.
extension CUDADevice {
  /// One direction of a grid.
  struct Direction {
    let outputs: FeatureGroups
    let inputs: FeatureGroups
    let start: UnsafePointer<Int32>
    let neighbour: UnsafePointer<Int32>
    /// Nil where the values are met in order.
    let block: UnsafePointer<Int32>?
    let order: UnsafePointer<Int32>
    let rowStride: Int
    let stepStride: Int
    let isTransposed: Bool
  }

  public func multiply(
    _ grid: BlockGrid, _ values: Vector, _ x: Activations, into y: Activations, accumulate: Bool
  ) throws {
    precondition(x.features == grid.inputs.features && y.features == grid.outputs.features)
    try multiply(
      grid, values, x, into: y, accumulate: accumulate, direction(of: grid, transposed: false))
  }

  public func multiplyTransposed(
    _ grid: BlockGrid, _ values: Vector, _ dy: Activations, into dx: Activations, accumulate: Bool
  ) throws {
    precondition(dx.features == grid.inputs.features && dy.features == grid.outputs.features)
    try multiply(
      grid, values, dy, into: dx, accumulate: accumulate, direction(of: grid, transposed: true))
  }

  func direction(of grid: BlockGrid, transposed: Bool) throws -> Direction {
    let table = try tables.grid(grid, on: self)
    return transposed
      ? Direction(
        outputs: grid.inputs, inputs: grid.outputs, start: table.columnStart, neighbour: table.row, block: table.block,
        order: table.columnOrder, rowStride: 1, stepStride: grid.inputs.members, isTransposed: true)
      : Direction(
        outputs: grid.outputs, inputs: grid.inputs, start: table.rowStart, neighbour: table.column, block: nil,
        order: table.rowOrder, rowStride: grid.inputs.members, stepStride: 1, isTransposed: false)
  }

  private func multiply(
    _ grid: BlockGrid, _ values: Vector, _ x: Activations, into y: Activations, accumulate: Bool, _ direction: Direction
  ) throws {
    precondition(values.count == grid.count && x.tokens == y.tokens)
    count(flops: 2 * grid.count * x.tokens)
    guard x.tokens > 0 else { return }
    if try multiplyByWarpgroups(grid, values, x, into: y, accumulate: accumulate, direction) { return }
    let weights = try elements(values)
    if grid.isDiagonal, try multiplyByLibrary(grid, weights, x, into: y, accumulate: accumulate, direction) { return }
    if precision == .bf16, grid.suitsTensorCores {
      return try multiplyOnTensorCores(grid, weights, x, into: y, accumulate: accumulate, direction)
    }
    let arguments = arguments(weights, x, y, accumulate: accumulate, direction)
    let pieces = (direction.outputs.members + 63) / 64
    try launch("grid_multiply", of: "grid.cu", grid: (direction.outputs.groups * pieces, x.pitch / 64), arguments)
  }

  private func arguments(
    _ weights: UnsafeMutableRawPointer, _ x: Activations, _ y: Activations, accumulate: Bool, _ direction: Direction
  ) -> fg_grid {
    var a = fg_grid()
    a.w = UnsafeRawPointer(weights)
    a.x = UnsafeRawPointer(x.buffer.address)
    a.y = y.buffer.address
    a.start = direction.start
    a.neighbour = direction.neighbour
    a.block = direction.block
    a.order = direction.order
    a.rows = Int32(direction.outputs.groups)
    a.outMembers = Int32(direction.outputs.members)
    a.outGroup = Int32(direction.outputs.groupStride)
    a.outStride = Int32(direction.outputs.stride)
    a.inMembers = Int32(direction.inputs.members)
    a.inGroup = Int32(direction.inputs.groupStride)
    a.inStride = Int32(direction.inputs.stride)
    a.rowStride = Int32(direction.rowStride)
    a.stepStride = Int32(direction.stepStride)
    a.blockSize = Int32(direction.outputs.members * direction.inputs.members)
    a.pitch = Int32(x.pitch)
    a.accumulate = accumulate ? 1 : 0
    return a
  }

  // MARK: cuBLASLt

  private var elementType: Int { precision == .bf16 ? FG_TYPE_BF16 : FG_TYPE_FP32 }

  /// Features of a group as the rows of a matrix [members, pitch].
  private func lines(_ a: Activations, _ groups: FeatureGroups) -> CUDAMatmul.Operand {
    CUDAMatmul.Operand(
      address: a.buffer.address, leading: groups.stride * a.pitch, batchStride: groups.groupStride * a.pitch,
      type: elementType)
  }

  private func multiplyByLibrary(
    _ grid: BlockGrid, _ weights: UnsafeMutableRawPointer, _ x: Activations, into y: Activations, accumulate: Bool,
    _ direction: Direction
  ) throws -> Bool {
    let size = grid.outputs.members * grid.inputs.members
    return try multiply(
      flops: 2 * grid.count * x.tokens,
      CUDAMatmul.Product(
        rows: direction.outputs.members, columns: x.pitch, depth: direction.inputs.members,
        batch: direction.outputs.groups,
        left: CUDAMatmul.Operand(
          address: weights, leading: grid.inputs.members, batchStride: size, isTransposed: direction.isTransposed,
          type: elementType),
        right: lines(x, direction.inputs), result: lines(y, direction.outputs), accumulate: accumulate))
  }

  private func multiply(flops: Int, _ product: CUDAMatmul.Product) throws -> Bool {
    let isDone = try matmul.withLock { matmul in
      let library = try matmul ?? CUDAMatmul(on: self)
      matmul = library
      return try library.multiply(product) { bytes, body in
        try withBuffer(byteCount: bytes) { try body($0.address) }
      }
    }
    if isDone { countOfLibrary(flops: flops) }
    return isDone
  }

  // MARK: Tensor cores

  /// How many tiles the ring has and what it takes of shared memory: half of a multiprocessor's, or all of it for a block that its
  /// registers leave alone there.
  func ring(stageBytes: Int, atLeast least: Int = 0, isAlone: Bool = false) -> (stages: Int, bytes: Int) {
    let stages = 3 * stageBytes <= min(context.sharedBytes, isAlone ? .max : 112 << 10) ? 3 : 2
    return (stages, max(stages * stageBytes, least))
  }

  func multiplyOnTensorCores(
    _ grid: BlockGrid, _ weights: UnsafeMutableRawPointer, _ x: Activations, into y: Activations, accumulate: Bool,
    _ direction: Direction
  ) throws {
    if try multiplyShared(grid, weights, x, into: y, accumulate: accumulate, direction) { return }
    let rows = BlockGrid.tile(direction.outputs.members), depth = 64, pad = 8, tokens = 128
    let stage = max(rows * (depth + pad), depth * (rows + pad)) + depth * (tokens + pad)
    let (stages, shared) = ring(stageBytes: stage * 2)
    let tiles = direction.outputs.groups * (direction.outputs.members / rows) * ((x.pitch + tokens - 1) / tokens)
    var a = arguments(weights, x, y, accumulate: accumulate, direction)
    a.stages = Int32(stages)
    try withBuffer(byteCount: 64) { counter in
      try clear(counter.address, byteCount: 4)
      a.counter = counter.address.assumingMemoryBound(to: Int32.self)
      // As many blocks as can be resident draw the tiles.
      let resident = max(1, min(rows == 128 ? 2 : 4, context.sharedBytes / shared))
      try launch(
        (direction.isTransposed ? "grid_tensor_transposed_" : "grid_tensor_") + "\(rows)", of: "grid_tensor.cu",
        grid: (min(tiles, context.multiprocessors * resident), 1), shared: shared, a)
    }
  }

  // MARK: Gradient of the values

  public func accumulateGradient(
    _ grid: BlockGrid, dy: Activations, x: Activations, into dvalues: Vector
  ) throws {
    precondition(x.features == grid.inputs.features && dy.features == grid.outputs.features)
    precondition(dvalues.count == grid.count && x.tokens == dy.tokens)
    count(flops: 2 * grid.count * x.tokens)
    guard x.tokens > 0 else { return }
    wrote(dvalues)
    if grid.isDiagonal, try gradientByLibrary(grid, dy: dy, x: x, into: dvalues) { return }
    if try gradientByWarpgroups(grid, dy: dy, x: x, into: dvalues) { return }
    try gradientByOwnKernels(grid, dy: dy, x: x, into: dvalues)
  }

  /// By mma.sync where blocks suit it, else by the general kernel.
  func gradientByOwnKernels(_ grid: BlockGrid, dy: Activations, x: Activations, into dvalues: Vector) throws {
    let table = try tables.grid(grid, on: self)
    var a = fg_grid_gradient()
    a.dy = UnsafeRawPointer(dy.buffer.address)
    a.x = UnsafeRawPointer(x.buffer.address)
    a.dvalues = dvalues.pointer
    a.row = table.rowOfBlock
    a.column = table.column
    a.blocks = Int32(grid.blocks)
    a.outMembers = Int32(grid.outputs.members)
    a.outGroup = Int32(grid.outputs.groupStride)
    a.outStride = Int32(grid.outputs.stride)
    a.inMembers = Int32(grid.inputs.members)
    a.inGroup = Int32(grid.inputs.groupStride)
    a.inStride = Int32(grid.inputs.stride)
    a.pitch = Int32(x.pitch)
    a.splits = 1
    if precision == .bf16, grid.suitsTensorCores { return try gradientOnTensorCores(grid, a, into: dvalues) }
    let tiles = (grid.outputs.members + 63) / 64 * ((grid.inputs.members + 63) / 64)
    try launch("grid_gradient", of: "grid.cu", grid: (grid.blocks * tiles, 1), a)
  }

  private func gradientByLibrary(
    _ grid: BlockGrid, dy: Activations, x: Activations, into dvalues: Vector
  ) throws -> Bool {
    var right = lines(x, grid.inputs)
    right.isTransposed = true
    return try multiply(
      flops: 2 * grid.count * x.tokens,
      CUDAMatmul.Product(
        rows: grid.outputs.members, columns: grid.inputs.members, depth: x.pitch, batch: grid.outputs.groups,
        left: lines(dy, grid.outputs), right: right,
        result: CUDAMatmul.Operand(
          address: UnsafeMutableRawPointer(dvalues.pointer), leading: grid.inputs.members,
          batchStride: grid.outputs.members * grid.inputs.members, type: FG_TYPE_FP32),
        accumulate: true))
  }

  private func gradientOnTensorCores(_ grid: BlockGrid, _ arguments: fg_grid_gradient, into dvalues: Vector) throws {
    var a = arguments
    let side = grid.gradientSide, stride = 72, tiles = grid.count / (side * side)
    if try gradientShared(grid, a, side: side, into: dvalues) { return }
    let (stages, shared) = ring(stageBytes: 2 * side * stride * 2, atLeast: side * (side + 4) * 4)
    a.stages = Int32(stages)
    try launchInShares(
      "grid_tensor_gradient_\(side)", of: "grid_tensor_gradient.cu", tiles: tiles,
      shares: shares(
        tiles: tiles, steps: Int(a.pitch) / 64, stepBytes: 2 * side * 64 * 2, values: dvalues.count, blocks: 2
      ).count, shared: shared, into: dvalues
    ) { splits, partial in
      a.splits = Int32(splits)
      a.partial = partial
      return a
    }
  }

  /// Into how many shares the tokens of a gradient are best cut, and what the busiest multiprocessor then reads and writes, in
  /// bytes: as many of the equal blocks as it gets, and each share's sums written and read again. A share has at least 8 steps, and
  /// there are `blocks` for each multiprocessor where that allows it.
  func shares(tiles: Int, steps: Int, stepBytes: Int, values: Int, blocks: Int) -> (count: Int, bytes: Int) {
    let chip = context.multiprocessors, most = max(1, min(steps / 8, 32))
    let least = min(most, (blocks * chip + tiles - 1) / max(1, tiles))
    let choices = (max(1, least)...most).map { count in
      let turns = (tiles * count + chip - 1) / chip, longest = (steps + count - 1) / count
      return (
        count: count, bytes: turns * longest * stepBytes + (count > 1 ? 2 * count * values * 4 / chip : 0)
      )
    }
    return choices.min { ($0.bytes, $0.count) < ($1.bytes, $1.count) }!
  }

  /// Launches a gradient of `tiles` blocks for each share of the tokens; the shares of a sum are then added to `dvalues` in order.
  /// `arguments` gets the number of shares and the memory for them.
  func launchInShares<Arguments>(
    _ kernel: String, of source: String, tiles: Int, shares splits: Int, shared: Int, into dvalues: Vector,
    _ arguments: (_ splits: Int, _ partial: UnsafeMutablePointer<Float>?) -> Arguments
  ) throws {
    guard splits > 1 else {
      return try launch(kernel, of: source, grid: (tiles, 1), shared: shared, arguments(1, nil))
    }
    try withBuffer(byteCount: splits * dvalues.count * 4) { buffer in
      let partial = buffer.address.assumingMemoryBound(to: Float.self)
      try launch(kernel, of: source, grid: (tiles, splits), shared: shared, arguments(splits, partial))
      var sum = fg_partials()
      sum.target = dvalues.pointer
      sum.partial = UnsafePointer(partial)
      sum.count = Int64(dvalues.count)
      sum.parts = Int32(splits)
      try launch("add_partials", of: "optimizer.cu", grid: (blocks(for: dvalues.count), 1), sum)
    }
  }
}

extension BlockGrid {
  /// Group g reads group g and nothing else: a batch of equal dense products.
  var isDiagonal: Bool {
    blocks == outputs.groups && outputs.groups == inputs.groups
      && column.indices.allSatisfy { column[$0] == Int32($0) && rowStart[$0] == Int32($0) }
  }

  /// Contiguous groups whose sides are multiples of 16.
  var suitsTensorCores: Bool {
    outputs.stride == 1 && inputs.stride == 1 && outputs.members.isMultiple(of: 16) && inputs.members.isMultiple(of: 16)
  }

  /// The side of mma.sync's tiles of the weight gradient.
  var gradientSide: Int { min(BlockGrid.tile(outputs.members), BlockGrid.tile(inputs.members)) }

  /// The largest of 16, 32, 64 and 128 that divides a side.
  static func tile(_ members: Int) -> Int { [128, 64, 32, 16].first { members.isMultiple(of: $0) } ?? 16 }
}
