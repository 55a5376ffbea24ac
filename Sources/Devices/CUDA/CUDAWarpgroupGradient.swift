import Arrays
import CCUDA

/// The weight gradient of blocks whose sides are multiples of 64 by the warpgroups of sm_90a (grid_warpgroup_gradient.cu). Taken where
/// the GPU passed the check of the kernel, and its busiest multiprocessor reads no more than mma.sync would from each on average.
extension CUDADevice {
  static let warpgroupGradient = "grid_warpgroup_gradient"
  private static let side = GradientTiles.side

  /// False where the kernel is not for this gradient or not trusted.
  func gradientByWarpgroups(
    _ grid: BlockGrid, dy: Activations, x: Activations, into dvalues: Vector
  ) throws -> Bool {
    guard precision == .bf16, context.capability == (9, 0), grid.suitsWarpgroups else { return false }
    let table = try tables.gradientTiles(grid, on: self)
    let side = CUDADevice.side
    let shares = shares(
      tiles: table.tiles, steps: x.pitch / side, stepBytes: table.strips * side * side * 2 / max(1, table.tiles),
      values: grid.count, blocks: 0)
    let without = try linesOfGradientWithoutWarpgroups(grid) * x.pitch * 2 / context.multiprocessors
    guard shares.bytes <= without, try isTrusted(CUDADevice.warpgroupGradient) else { return false }
    try launchWarpgroupGradient(grid, table, dy: dy, x: x, into: dvalues, shares: shares.count)
    return true
  }

  /// Lines of dy and x that the kernels for mma.sync read for each token, the better of theirs.
  private func linesOfGradientWithoutWarpgroups(_ grid: BlockGrid) throws -> Int {
    let side = grid.gradientSide, pieces = grid.count / (side * side), alone = 2 * side * pieces
    let bundles = try tables.bundles(grid, side: side, share: CUDADevice.gradientWidth / side, on: self).bundles
    return min(alone, side * (bundles * (grid.outputs.members / side) + pieces))
  }

  private func launchWarpgroupGradient(
    _ grid: BlockGrid, _ table: CUDATables.GradientTiles, dy: Activations, x: Activations, into dvalues: Vector,
    shares: Int
  ) throws {
    var a = fg_grid_warpgroup_gradient()
    a.dy = try boxes(of: dy)
    a.x = try boxes(of: x)
    a.dvalues = dvalues.pointer
    a.tile = table.tile
    a.count = Int64(grid.count)
    a.outMembers = Int32(grid.outputs.members)
    a.inMembers = Int32(grid.inputs.members)
    a.pitch = Int32(x.pitch)
    // Three slots where they fit; two barriers for each; what is lost before a pattern of the swizzling begins.
    let slot = table.most * CUDADevice.side * CUDADevice.side * 2
    func shared(_ stages: Int) -> Int { stages * (slot + 16) + 1024 - 128 }
    let stages = shared(3) <= context.sharedBytes ? 3 : 2
    a.stages = Int32(stages)
    a.strips = Int32(table.most)
    try launchInShares(
      CUDADevice.warpgroupGradient, of: "grid_warpgroup_gradient.cu", tiles: table.tiles, shares: shares,
      shared: shared(stages), into: dvalues
    ) { splits, partial in
      a.splits = Int32(splits)
      a.partial = partial
      return a
    }
  }

  /// Activations in boxes of 64 lines and 64 tokens.
  private func boxes(of a: Activations) throws -> fg_tensor_map {
    guard let maps = context.libraries.tensorMaps else {
      throw Refusal.missing("the driver has no tensor maps (cuTensorMapEncodeTiled, CUDA 12.0)")
    }
    let map = UnsafeMutableRawPointer.allocate(byteCount: MemoryLayout<fg_tensor_map>.size, alignment: 128)
    defer { map.deallocate() }
    let target = map.bindMemory(to: fg_tensor_map.self, capacity: 1)
    try context.enter()
    let code = maps.encodeTiled!(
      target, Int32(FG_MAP_BF16), 2, a.buffer.address, [UInt64(a.pitch), UInt64(a.features)], [UInt64(a.pitch * 2)],
      [UInt32(CUDADevice.side), UInt32(CUDADevice.side)], [1, 1], 0, Int32(FG_MAP_SWIZZLE_128),
      Int32(FG_MAP_PROMOTION_256), 0)
    try context.check(code, "a tensor map")
    return target.pointee
  }

  /// A small gradient by this kernel and by mma.sync: rows of the grid with none to five blocks, blocks that are not square, asymmetric
  /// random numbers, whole and in three shares of the tokens, each added to what was there.
  ///
  /// Both sum the same products of bf16 numbers in fp32: as for the other kernels, without a rounding to bf16 at the end.
  func checkWarpgroupGradient() throws -> Bool {
    let tokens = 450
    let (grid, drawn) = try checkedGrid()
    let y = drawn(tokens * grid.outputs.features), x = drawn(tokens * grid.inputs.features), start = drawn(grid.count)
    func gradient(
      _ y: [Float], _ x: [Float], _ start: [Float], _ compute: (Activations, Activations, Vector) throws -> Void
    ) throws -> [Float] {
      let dvalues = try makeVector(start)
      try compute(
        makeActivations(y, tokens: tokens, features: grid.outputs.features),
        makeActivations(x, tokens: tokens, features: grid.inputs.features), dvalues)
      return try numbers(dvalues)
    }
    func withoutWarpgroups(_ y: [Float], _ x: [Float], _ start: [Float]) throws -> [Float] {
      try gradient(y, x, start) { try gradientByOwnKernels(grid, dy: $0, x: $1, into: $2) }
    }
    let expected = try withoutWarpgroups(y, x, start)
    let size = try withoutWarpgroups(y.map(abs), x.map(abs), start.map(abs))
    let table = try tables.gradientTiles(grid, on: self)
    return try [1, 3].allSatisfy { shares in
      let got = try gradient(y, x, start) {
        try launchWarpgroupGradient(grid, table, dy: $0, x: $1, into: $2, shares: shares)
      }
      // One more for what was there, and for each share.
      let perSize = Float(tokens + 1 + shares) * 0x1p-22
      return expected.indices.allSatisfy { abs(got[$0] - expected[$0]) <= 2 * perSize * size[$0] * 1.01 }
    }
  }
}
