import Arrays
import CKernels

/// Constants and expansions: indexed copies of weights, which cost little beside the products they serve.
extension CPUDevice {
  private static let piece = 1 << 14

  public func constant(_ name: String, _ make: () -> [Float]) throws -> Vector {
    if let vector = constants.withLock({ $0[name] }) { return vector }
    let vector = try makeVector(make())
    return constants.withLock {
      $0[name] = $0[name] ?? vector
      return $0[name]!
    }
  }

  public func expand(_ expansion: Expansion, _ values: Vector, into expanded: Vector) {
    precondition(values.count == expansion.values && expanded.count == expansion.count)
    let source = values.pointer, target = expanded.pointer
    expansion.index.withUnsafeBufferPointer { index in
      pieces(index.count) { range in
        for k in range {
          // Without branches, which a random mask would make unforeseeable: the sign of the index is that of the value.
          let i = index[k], kept: UInt32 = i == Expansion.zero ? 0 : ~0
          let place = Int(UInt32(bitPattern: i ^ (i >> 31)) & kept)
          let bits = source[place].bitPattern ^ (UInt32(bitPattern: i) & 0x8000_0000)
          target[k] = Float(bitPattern: bits & kept)
        }
      }
    }
  }

  public func accumulateExpansionGradient(_ expansion: Expansion, _ dexpanded: Vector, into dvalues: Vector) {
    precondition(dvalues.count == expansion.values && dexpanded.count == expansion.count)
    let source = dexpanded.pointer, target = dvalues.pointer
    expansion.start.withUnsafeBufferPointer { start in
      expansion.position.withUnsafeBufferPointer { position in
        pieces(expansion.values) { range in
          for v in range {
            var sum: Float = 0
            for k in Int(start[v])..<Int(start[v + 1]) {
              let place = position[k]
              sum += place >= 0 ? source[Int(place)] : -source[Int(~place)]
            }
            target[v] += sum
          }
        }
      }
    }
  }

  private func pieces(_ count: Int, _ body: (Range<Int>) -> Void) {
    let size = CPUDevice.piece
    pool.run((count + size - 1) / size) { body($0 * size..<min(count, ($0 + 1) * size)) }
  }
}
