import Arrays
import CCUDA

/// AdamW and sums over flat fp32 memory.
extension CUDADevice {
  private static let source = "optimizer.cu"

  public func adamW(_ step: AdamWStep, value: Vector, gradient: Vector, first: Vector, second: Vector) throws {
    precondition(value.count == gradient.count && value.count == first.count && value.count == second.count)
    var a = fg_adam()
    a.value = value.pointer
    a.gradient = UnsafePointer(gradient.pointer)
    a.first = first.pointer
    a.second = second.pointer
    a.gradientScale = Float(step.gradientScale)
    a.keep = Float(1 - step.learningRate * step.weightDecay)
    a.beta1 = Float(step.beta1)
    a.beta2 = Float(step.beta2)
    a.epsilon = Float(step.epsilon)
    a.step = Float(step.learningRate / (1 - step.beta1.raised(to: step.count)))
    a.rootCorrection = Float((1 - step.beta2.raised(to: step.count)).squareRoot())
    a.count = Int64(value.count)
    for vector in [value, first, second] { wrote(vector) }
    try launch("adamw", of: CUDADevice.source, grid: (blocks(for: value.count), 1), a)
  }

  public func sumOfSquares(_ vector: Vector) throws -> Double {
    guard vector.count > 0 else { return 0 }
    // The pieces depend on the count alone, and the host adds their sums in order.
    let parts = min(1024, (vector.count + 16383) / 16384)
    return try withBuffer(byteCount: parts * 8) { buffer in
      var a = fg_sum()
      a.x = UnsafePointer(vector.pointer)
      a.partial = buffer.address.assumingMemoryBound(to: Double.self)
      a.count = Int64(vector.count)
      a.parts = Int32(parts)
      try launch("sum_of_squares", of: CUDADevice.source, grid: (parts, 1), a)
      var sums = [Double](repeating: 0, count: parts)
      try sums.withUnsafeMutableBytes { try receive(buffer.address, into: $0) }
      return sums.reduce(0, +)
    }
  }
}

extension Double {
  /// By squaring.
  fileprivate func raised(to exponent: Int) -> Double {
    var result = 1.0, square = self, rest = exponent
    while rest > 0 {
      if rest & 1 == 1 { result *= square }
      square *= square
      rest >>= 1
    }
    return result
  }
}
