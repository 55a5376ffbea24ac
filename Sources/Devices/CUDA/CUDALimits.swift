import CCUDA

/// The roofline's two numbers, the best of several rounds: multiply-adds on registers (tensor cores in bf16) and a read of
/// memory far beyond the caches.
extension CUDADevice {
  private static let source = "limits.cu"
  private static let rounds = 5
  /// Long enough that an event's grain does not matter.
  private static let leastMilliseconds: Float = 2

  public func measureLimits() throws -> DeviceLimits {
    DeviceLimits(flopsPerSecond: try multiplyAddPeak(), bytesPerSecond: try readBandwidth())
  }

  private func multiplyAddPeak() throws -> Double {
    try withBuffer(byteCount: 1024) { sink in
      let blocks = context.multiprocessors * 4
      var a = fg_limit()
      a.sink = sink.address.assumingMemoryBound(to: Float.self)
      a.loops = 16
      func seconds() throws -> Float {
        try CUDAEvents.milliseconds(context) {
          try launch("multiply_add_peak", of: CUDADevice.source, grid: (blocks, 1), a)
        }
      }
      _ = try seconds()
      while try seconds() < CUDADevice.leastMilliseconds, a.loops < 1 << 20 { a.loops *= 4 }
      let best = try (0..<CUDADevice.rounds).map { _ in try seconds() }.min() ?? .infinity
      // 8 a turn: a thread's multiply-adds, or a warp's steps of 16 x 8 x 16 multiply-adds.
      let each = precision == .bf16 ? 2 * 16 * 8 * 16 / 32 : 2
      return Double(blocks * 256 * 8 * each) * Double(a.loops) / (Double(best) * 1e-3)
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
