import Arrays
import CCUDA

/// Products of 2:4 by cuSPARSELt (`CUDASparse.swift`), where it is here and was measured faster than the own kernel.
///
/// It has no weight gradient: that is the product of two dense matrices, of which the places of the pattern are wanted.
extension CUDADevice {
  /// y (+)= W x, or W' x where `runs` are the transpose's; false where the own kernel, `own`, is to compute it.
  func multiplyBySparseLibrary(
    _ pattern: CompressedRows, _ values: Vector, _ runs: RunTiles, _ x: Activations, into y: Activations,
    accumulate: Bool, own: @escaping (UnsafeMutableRawPointer, _ accumulate: Bool) throws -> Void
  ) throws -> Bool {
    // Two of every four neighbours; a row that holds one has a zero beside it.
    guard !runs.isGathered, 2 * pattern.count * x.pitch >= measuredFrom, context.libraries.sparse != nil else {
      return false
    }
    let product = CUDASparse.Product(rows: runs.rows, depth: runs.lines, pitch: x.pitch)
    return try sparse.withLock { held in
      guard let library = try held ?? startedSparseLibrary() else { return false }
      held = library
      return try library.multiply(
        product, x: x.buffer.address, into: y.buffer.address, accumulate: accumulate, on: self,
        weights: { try compressed(pattern, values, runs, by: $0) },
        measure: CUDASparse.Rival(
          run: { try own($0, false) },
          agrees: { try self.agree($0, $1, pattern, values, runs, x) }))
    }
  }

  /// Nil where it cannot be used, which ``sparseLibrary()`` says.
  private func startedSparseLibrary() throws -> CUDASparse? {
    do {
      return try CUDASparse(on: self)
    } catch let refusal as Refusal where refusal.kind == .missing {
      return nil
    }
  }

  /// Who multiplies with 2:4 on this GPU, in one sentence; nil where products are not bf16.
  public func sparseLibrary() throws -> String? {
    guard precision == .bf16 else { return nil }
    return try sparse.withLock { held in
      do {
        let library = try held ?? CUDASparse(on: self)
        held = library
        let remarks = library.remarks.isEmpty ? "" : "; " + library.remarks.joined(separator: "; ")
        return "cuSPARSELt \(library.version) is measured beside mma.sp for 2:4, and the faster is kept\(remarks)"
      } catch let refusal as Refusal where refusal.kind == .missing {
        return "2:4 is multiplied by mma.sp alone: \(refusal.sentence)"
      }
    }
  }

  /// W as the library has it; made again when the values or the pattern have changed.
  private func compressed(
    _ pattern: CompressedRows, _ values: Vector, _ runs: RunTiles, by plan: CUDASparsePlan
  ) throws -> UnsafeMutableRawPointer {
    let serial = try tables.runs(pattern, runs, on: self).serial, sizes = try plan.compressedBytes()
    let shadow = try shadows.shadow(
      of: values, runs.transposed ? .compressedTransposed : .compressed, for: serial
    ) { try allocate(byteCount: sizes.compressed) }
    guard shadow.isStale else { return shadow.buffer.address }
    let table = try tables.rows(pattern, on: self), fours = runs.rows * runs.lines / 4
    try withBuffer(byteCount: fours * 8) { dense in
      var a = fg_dense_runs()
      a.value = UnsafePointer(values.pointer)
      a.target = dense.address
      a.column = runs.transposed ? table.row : table.column
      a.source = runs.transposed ? table.source : nil
      a.held = Int32(runs.rule.held)
      a.count = Int64(fours)
      try launch("narrow_runs", of: "layout.cu", grid: (blocks(for: fours), 1), a)
      try withBuffer(byteCount: max(256, sizes.beside)) {
        try plan.compress(dense.address, into: shadow.buffer.address, beside: $0.address)
      }
    }
    return shadow.buffer.address
  }

  /// Whether two products y = W x, [rows, pitch] in bf16, are within what two orders of summation may differ by.
  ///
  /// A sum of n terms of absolute value s in all may differ from the exact one by n 2^-22 s where a tensor core cuts off what it adds,
  /// and by half an ulp when it is stored; s is at most the norm of the row of W times that of the token (Cauchy and Schwarz).
  private func agree(
    _ first: UnsafeMutableRawPointer, _ second: UnsafeMutableRawPointer, _ pattern: CompressedRows, _ values: Vector,
    _ runs: RunTiles, _ x: Activations
  ) throws -> Bool {
    let pitch = x.pitch
    func lines(_ address: UnsafeMutableRawPointer, _ count: Int) throws -> [UInt16] {
      var bits = [UInt16](repeating: 0, count: count * pitch)
      try bits.withUnsafeMutableBytes { try receive(address, into: $0) }
      return bits
    }
    func number(_ bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }
    let weights = try numbers(values), start = runs.transposed ? pattern.columnStart : pattern.rowStart
    let held = runs.lines / 4 * runs.rule.held
    var token = [Float](repeating: 0, count: pitch)
    let inputs = try lines(x.buffer.address, runs.lines)
    for line in 0..<runs.lines {
      for t in 0..<pitch {
        let x = number(inputs[line * pitch + t])
        token[t] += x * x
      }
    }
    let (one, other) = (try lines(first, runs.rows), try lines(second, runs.rows))
    // A hundredth more for the roundings of the norms and of the weights to bf16.
    let perSize = 2 * Float(held + 1) * 0x1p-22 * 1.01
    for row in 0..<runs.rows {
      let norm = (start[row]..<start[row + 1]).reduce(Float(0)) {
        let w = weights[Int(runs.transposed ? pattern.source[Int($1)] : $1)]
        return $0 + w * w
      }
      for t in 0..<pitch {
        let (a, b) = (number(one[row * pitch + t]), number(other[row * pitch + t]))
        let bound = perSize * (norm * token[t]).squareRoot() + 0x1p-8 * (abs(a) + abs(b))
        guard abs(a - b) <= bound else { return false }
      }
    }
    return true
  }
}
