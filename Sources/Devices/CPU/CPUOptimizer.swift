import CKernels

/// AdamW and norms over flat memory, in pieces of fixed size, so that sums do not depend on the threads.
extension CPUDevice {
  private static let piece = 1 << 14

  /// Runs `body` on pieces of 0 ..< count, with their numbers.
  func pieces(_ count: Int, _ body: (Int, Range<Int>) -> Void) {
    let size = CPUDevice.piece
    pool.run((count + size - 1) / size) { body($0, $0 * size..<min(count, ($0 + 1) * size)) }
  }

  public func adamW(_ step: AdamWStep, value: Vector, gradient: Vector, first: Vector, second: Vector) {
    precondition(value.count == gradient.count && value.count == first.count && value.count == second.count)
    var piece = fg_adamw()
    piece.gradientScale = Float(step.gradientScale)
    piece.keep = Float(1 - step.learningRate * step.weightDecay)
    piece.beta1 = Float(step.beta1)
    piece.beta2 = Float(step.beta2)
    piece.epsilon = Float(step.epsilon)
    piece.step = Float(step.learningRate / (1 - power(step.beta1, step.count)))
    piece.rootCorrection = Float((1 - power(step.beta2, step.count)).squareRoot())
    let common = piece
    pieces(value.count) { _, range in
      var piece = common
      piece.value = value.pointer + range.lowerBound
      piece.first = first.pointer + range.lowerBound
      piece.second = second.pointer + range.lowerBound
      piece.gradient = UnsafePointer(gradient.pointer) + range.lowerBound
      piece.count = range.count
      self.kernels.adamW(&piece)
    }
  }

  /// base^exponent by squaring.
  private func power(_ base: Double, _ exponent: Int) -> Double {
    var result = 1.0, square = base, rest = exponent
    while rest > 0 {
      if rest & 1 == 1 { result *= square }
      square *= square
      rest >>= 1
    }
    return result
  }

  public func sumOfSquares(_ vector: Vector) -> Double {
    var sums = [Double](repeating: 0, count: (vector.count + CPUDevice.piece - 1) / CPUDevice.piece)
    sums.withUnsafeMutableBufferPointer { sums in
      let target = sums.baseAddress
      pieces(vector.count) { index, range in
        self.kernels.sumOfSquares(range.count, vector.pointer + range.lowerBound, target! + index)
      }
    }
    return sums.reduce(0, +)
  }
}
