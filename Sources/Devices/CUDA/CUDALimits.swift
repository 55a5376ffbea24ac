import CCUDA

/// The roofline's two numbers, the best of several rounds: multiply-adds, in bf16 on tensor cores by mma.sync and, on Hopper, by
/// wgmma, the faster of the two; and a read of memory far beyond the caches.
extension CUDADevice {
  private static let source = "limits.cu"
  private static let rounds = 5
  /// Long enough that an event's grain does not matter.
  private static let leastMilliseconds: Float = 2

  public func measureLimits() throws -> DeviceLimits {
    var peaks = [(flops: try multiplyAddPeak(), name: "fp32 multiply-add")]
    if precision == .bf16 {
      peaks[0].name = "bf16 mma.sync"
      // The check of the kernels that multiply so is this one's too.
      if context.capability == (9, 0), try isTrusted(CUDADevice.warpgroupKernel(false)) {
        peaks.append((try groupMultiplyAddPeak(), "bf16 wgmma"))
      }
    }
    let peak = peaks.max { $0.flops < $1.flops }!
    return DeviceLimits(
      flopsPerSecond: peak.flops, bytesPerSecond: try readBandwidth(), multiplyAdd: peak.name)
  }

  private func multiplyAddPeak() throws -> Double {
    // 8 a turn: a thread's multiply-adds, or a warp's steps of 16 x 8 x 16 multiply-adds.
    let each = precision == .bf16 ? 2 * 16 * 8 * 16 / 32 : 2
    return try peak(
      "multiply_add_peak", of: CUDADevice.source, blocks: 4 * context.multiprocessors, flopsOfTurn: 256 * 8 * each)
  }

  /// One block on each multiprocessor, two warpgroups that do 32 products of 64 x 64 x 16 multiply-adds a turn.
  private func groupMultiplyAddPeak() throws -> Double {
    try peak(
      "group_multiply_add_peak", of: "limits_warpgroup.cu", blocks: context.multiprocessors, shared: 64 * 16 * 2,
      flopsOfTurn: 2 * 32 * 2 * 64 * 64 * 16)
  }

  private func peak(
    _ kernel: String, of source: String, blocks: Int, shared: Int = 0, flopsOfTurn: Int
  ) throws -> Double {
    try withBuffer(byteCount: 1024) { sink in
      var a = fg_limit()
      a.sink = sink.address.assumingMemoryBound(to: Float.self)
      a.loops = 16
      func seconds() throws -> Float {
        try CUDAEvents.milliseconds(context) {
          try launch(kernel, of: source, grid: (blocks, 1), shared: shared, a)
        }
      }
      _ = try seconds()
      while try seconds() < CUDADevice.leastMilliseconds, a.loops < 1 << 20 { a.loops *= 4 }
      let best = try (0..<CUDADevice.rounds).map { _ in try seconds() }.min() ?? .infinity
      return Double(blocks * flopsOfTurn) * Double(a.loops) / (Double(best) * 1e-3)
    }
  }

  private func readBandwidth() throws -> Double {
    let floats = min(1 << 30, try context.freeBytes() / 16) / 4 / 1024 * 1024
    return try withBuffer(byteCount: floats * 4 + 1024) { memory in
      try clear(memory.address, byteCount: memory.byteCount)
      var a = fg_limit()
      a.source = UnsafeRawPointer(memory.address + 1024)
      a.sink = memory.address.assumingMemoryBound(to: Float.self)
      a.count = Int64(floats)
      let best =
        try (0..<CUDADevice.rounds).map { _ in
          try CUDAEvents.milliseconds(context) {
            try launch("read_all", of: CUDADevice.source, grid: (context.multiprocessors * 8, 1), a)
          }
        }.min() ?? .infinity
      return Double(floats * 4) / (Double(best) * 1e-3)
    }
  }
}
