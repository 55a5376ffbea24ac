import Arrays
import CCUDA

/// Products of blocks whose sides are multiples of 64 by the warpgroups of sm_90a (grid_warpgroup.cu): forward and input gradient.
/// Taken where the GPU passed the check of the kernel, counting says that nothing reads less, and the chip is filled.
extension CUDADevice {
  private static let tokens = 128
  private static let strips = 6
  private static let side = 64
  private static let stages = 3
  /// Slots of lines of x and pieces of W; two barriers and a step for each; what is copied next.
  private static let warpgroupShared =
    stages * ((side * (tokens + 8) + strips * side * side) * 2 + 2 * 8 + 3 * 4) + 5 * 4

  /// False where the kernel is not for this product or not trusted.
  func multiplyByWarpgroups(
    _ grid: BlockGrid, _ values: Vector, _ x: Activations, into y: Activations, accumulate: Bool, _ direction: Direction
  ) throws -> Bool {
    guard precision == .bf16, context.capability == (9, 0), grid.suitsWarpgroups else { return false }
    let table = try tables.strips(grid, transposed: direction.isTransposed, share: CUDADevice.strips, on: self)
    let tiles = table.tiles * ((x.pitch + CUDADevice.tokens - 1) / CUDADevice.tokens)
    guard tiles >= context.multiprocessors, CUDADevice.warpgroupShared <= context.sharedBytes else { return false }
    let pieces = grid.count / (CUDADevice.side * CUDADevice.side)
    guard
      pieces * CUDADevice.side + table.met * CUDADevice.tokens <= (try linesWithoutWarpgroups(grid, direction)),
      try isTrusted(CUDADevice.warpgroupKernel(direction.isTransposed))
    else { return false }
    try launchWarpgroups(
      table, try packedPieces(grid, values), x, into: y, accumulate: accumulate, transposed: direction.isTransposed,
      blocks: min(tiles, context.multiprocessors))
    return true
  }

  static func warpgroupKernel(_ transposed: Bool) -> String { "grid_warpgroup" + (transposed ? "_transposed" : "") }

  /// What the other kernels copy in 64 steps for 128 tokens, in rows of W and tokens of x, the better of theirs.
  private func linesWithoutWarpgroups(_ grid: BlockGrid, _ direction: Direction) throws -> Int {
    let members = direction.outputs.members, rows = BlockGrid.tile(members), tokens = CUDADevice.tokens
    let steps = direction.inputs.members / CUDADevice.side
    let alone = grid.blocks * steps * (members / rows) * (rows + tokens)
    guard members == rows, direction.outputs.groups > 1 else { return alone }
    let shared = try tables.sharedRows(
      grid, transposed: direction.isTransposed, share: CUDADevice.height / members, on: self)
    return min(alone, steps * (grid.blocks * members + shared.met * tokens))
  }

  private func launchWarpgroups(
    _ table: CUDATables.SharedGrid, _ weights: UnsafeMutableRawPointer, _ x: Activations, into y: Activations,
    accumulate: Bool, transposed: Bool, blocks: Int
  ) throws {
    var a = fg_grid_warpgroup()
    a.w = UnsafeRawPointer(weights)
    a.x = UnsafeRawPointer(x.buffer.address)
    a.y = y.buffer.address
    a.start = table.start
    a.line = table.neighbour
    a.piece = table.block
    a.present = table.present
    a.row = table.row
    a.tiles = Int32(table.tiles)
    a.pitch = Int32(x.pitch)
    a.accumulate = accumulate ? 1 : 0
    a.stages = Int32(CUDADevice.stages)
    try withBuffer(byteCount: 64) { counter in
      try clear(counter.address, byteCount: 4)
      a.counter = counter.address.assumingMemoryBound(to: Int32.self)
      try launch(
        CUDADevice.warpgroupKernel(transposed), of: "grid_warpgroup.cu", grid: (blocks, 1),
        shared: CUDADevice.warpgroupShared, a)
    }
  }

  /// The values as bf16 in pieces of 64 x 64; made again when they have changed.
  private func packedPieces(_ grid: BlockGrid, _ values: Vector) throws -> UnsafeMutableRawPointer {
    let shadow = try shadows.shadow(of: values, .pieces) { try allocate(byteCount: values.count * 2) }
    if shadow.isStale {
      var a = fg_pieces()
      a.source = UnsafePointer(values.pointer)
      a.target = shadow.buffer.address
      a.outMembers = Int32(grid.outputs.members)
      a.inMembers = Int32(grid.inputs.members)
      a.count = Int64(values.count / 8)
      try launch("narrow_pieces", of: "layout.cu", grid: (blocks(for: values.count / 8), 1), a)
    }
    return shadow.buffer.address
  }

  // MARK: The check

  /// Whether this GPU computes with the kernel what it computes with mma.sync; found out before its first use.
  func isTrusted(_ kernel: String) throws -> Bool {
    if kernel == CUDADevice.warpgroupGradient {
      return try warpgroups.verdict(kernel, of: "grid_warpgroup_gradient.cu", on: self) {
        try checkWarpgroupGradient()
      } == .agreed
    }
    return try warpgroups.verdict(kernel, of: "grid_warpgroup.cu", on: self) {
      try checkWarpgroups(transposed: kernel.hasSuffix("transposed"))
    } == .agreed
  }

  /// What the check of the warpgroups' kernels found on this GPU, in one sentence; nil where no check applies.
  public func kernelCheck() throws -> String? {
    guard precision == .bf16, context.capability == (9, 0) else { return nil }
    let kernels = [false, true].map(CUDADevice.warpgroupKernel) + [CUDADevice.warpgroupGradient]
    return warpgroups.sentence(try kernels.map { (kernel: $0, isUsed: try isTrusted($0)) })
  }

  /// A grid whose rows have no to five blocks of 64 x 128, and asymmetric random numbers.
  func checkedGrid() throws -> (grid: BlockGrid, drawn: (Int) -> [Float]) {
    let lengths = [3, 0, 5, 1, 2, 4, 1]
    var generator = SeededGenerator(seed: 20)
    let grid = try BlockGrid(
      outputs: .contiguous(groups: lengths.count, members: 64), inputs: .contiguous(groups: 5, members: 128),
      rowStart: lengths.reduce(into: [Int32(0)]) { $0.append($0.last! + Int32($1)) },
      column: lengths.flatMap { generator.sample($0, below: 5).sorted().map { Int32($0) } })
    return (grid, { count in (0..<count).map { _ in Float(generator.normal()) } })
  }

  /// A small product by both kernels: tiles of the warpgroups that one block has to draw one after another, the last of them half
  /// empty; y overwritten from NaN, or added to.
  ///
  /// Both sum the same products of bf16 numbers in fp32. A sum of n terms of absolute value s in all may differ from the exact one
  /// by n 2^-22 s where a tensor core cuts off what it adds, instead of rounding it, and by half an ulp of bf16 when it is stored.
  private func checkWarpgroups(transposed: Bool) throws -> Bool {
    let tokens = 150
    let (grid, drawn) = try checkedGrid()
    let weights = drawn(grid.count), direction = try self.direction(of: grid, transposed: transposed)
    let rows = direction.outputs.features, columns = direction.inputs.features
    let start = transposed ? drawn(tokens * rows) : [Float](repeating: .nan, count: tokens * rows)
    // Copies of the values go with the values: both stay until the products are read.
    let values = try makeVector(weights), sizesOfValues = try makeVector(weights.map(abs))
    defer { withExtendedLifetime((values, sizesOfValues)) {} }
    let x = try makeActivations(drawn(tokens * columns), tokens: tokens, features: columns)
    let first = try makeActivations(start, tokens: tokens, features: rows)
    let second = try makeActivations(start, tokens: tokens, features: rows)
    try multiplyOnTensorCores(grid, elements(values), x, into: first, accumulate: transposed, direction)
    try launchWarpgroups(
      tables.strips(grid, transposed: transposed, share: CUDADevice.strips, on: self), packedPieces(grid, values), x,
      into: second, accumulate: transposed, transposed: transposed, blocks: 1)
    // What bounds the sums.
    let sizes = try makeActivations(start.map(abs), tokens: tokens, features: rows)
    let sizesOfX = try makeActivations(self.rows(x).map(abs), tokens: tokens, features: columns)
    try multiplyOnTensorCores(
      grid, elements(sizesOfValues), sizesOfX, into: sizes, accumulate: transposed, direction)
    let (expected, got, size) = (try self.rows(first), try self.rows(second), try self.rows(sizes))
    let perSize = Float(columns + 1) * 0x1p-22
    return expected.indices.allSatisfy {
      let bound = 2 * perSize * size[$0] * 1.01 + 0x1p-8 * (abs(expected[$0]) + abs(got[$0]))
      return abs(got[$0] - expected[$0]) <= bound
    }
  }
}

extension BlockGrid {
  /// Contiguous groups whose sides are multiples of 64, not all on a diagonal.
  var suitsWarpgroups: Bool {
    suitsTensorCores && outputs.members.isMultiple(of: 64) && inputs.members.isMultiple(of: 64) && !isDiagonal
  }

  /// This grid, or its transpose, by strips of 64 rows and of 64 columns: their tiles, and the features that strips begin with.
  func strips(transposed: Bool, share: Int) -> SharedRows {
    let down = outputs.members / 64, across = inputs.members / 64
    let (rows, columns) = transposed ? (inputs, outputs) : (outputs, inputs)
    var start: [Int32] = [0], neighbour: [Int32] = [], pieces: [Int32] = []
    for strip in 0..<rows.groups * (rows.members / 64) {
      let group = strip / (rows.members / 64), within = strip % (rows.members / 64)
      let range = transposed ? columnStart[group]..<columnStart[group + 1] : rowStart[group]..<rowStart[group + 1]
      for k in range.map(Int.init) {
        for step in 0..<columns.members / 64 {
          let other = Int(transposed ? row[k] : column[k]), block = transposed ? Int(self.block[k]) : k
          let (i, j) = transposed ? (step, within) : (within, step)
          neighbour.append(Int32(other * (columns.members / 64) + step))
          pieces.append(Int32((block * down + i) * across + j))
        }
      }
      start.append(Int32(neighbour.count))
    }
    return SharedRows(
      start: start, neighbour: neighbour, blocks: pieces, columns: columns.groups * (columns.members / 64), share: share
    )
  }
}

extension FeatureGroups {
  /// The first feature of strip `strip` of 64, counted through the groups.
  func firstFeature(ofStrip strip: Int32) -> Int32 {
    strip < 0 ? -1 : Int32(feature(Int(strip) / (members / 64), Int(strip) % (members / 64) * 64))
  }
}
