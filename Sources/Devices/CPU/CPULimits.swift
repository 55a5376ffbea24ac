import CKernels
import Glibc

/// The roofline's two numbers. The best of several rounds counts: a limit is what the machine can do when nobody disturbs
/// it.
extension CPUDevice {
  private static let rounds = 7

  public func measureLimits() throws -> DeviceLimits {
    DeviceLimits(flopsPerSecond: try fmaPeak(), bytesPerSecond: try readBandwidth())
  }

  /// Multiply-adds on registers alone, on every thread at once.
  private func fmaPeak() throws -> Double {
    let loops = 1_000_000
    return try withBuffer(byteCount: threads * 256) { buffer in
      let sink = buffer.address.assumingMemoryBound(to: Float.self)
      var flops = [Double](repeating: 0, count: threads)
      let best = flops.withUnsafeMutableBufferPointer { flops in
        let target = flops.baseAddress!
        return bestSeconds {
          pool.run(threads) { index in
            for lane in 0..<32 { sink[index * 64 + lane] = lane < 16 ? 0.999 : 0.001 }
            self.kernels.fmaPeak(loops, sink + index * 64, target + index)
          }
        }
      }
      return flops.reduce(0, +) * Double(loops) / best
    }
  }

  /// Every thread reads its part of 256 MB.
  private func readBandwidth() throws -> Double {
    let floats = 64 << 20, tasks = threads * 4
    let memory = try makeVector(count: floats)
    // Memory that was never written is one shared page of zeros, which would be read from the cache.
    pool.run(tasks) { memset(memory.pointer + $0 * (floats / tasks), 1, floats / tasks * 4) }
    return try withBuffer(byteCount: tasks * 64) { buffer in
      let sink = buffer.address.assumingMemoryBound(to: Float.self)
      let best = bestSeconds {
        pool.run(tasks) { index in
          let part = floats / tasks / 64 * 64
          self.kernels.readAll(part, memory.pointer + index * part, sink + index * 16)
        }
      }
      return Double(floats * 4) / best
    }
  }

  private func bestSeconds(_ body: () -> Void) -> Double {
    (0..<CPUDevice.rounds).map { _ in
      var before = timespec(), after = timespec()
      clock_gettime(CLOCK_MONOTONIC, &before)
      body()
      clock_gettime(CLOCK_MONOTONIC, &after)
      return Double(after.tv_sec - before.tv_sec) + Double(after.tv_nsec - before.tv_nsec) * 1e-9
    }.min() ?? .infinity
  }
}
