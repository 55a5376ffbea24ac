/// The three products of a dense layer y = x W' on row-major buffers, with x [T, I], W [O, I], y [T, O].
///
/// The raw values are those of a record's `pass`.
package enum DenseProduct: String, CaseIterable, Sendable {
  /// y = x W': left x [T, I], right W [O, I], result [T, O].
  case forward
  /// dx = dy W: left dy [T, O], right W [O, I], result [T, I].
  case inputGradient
  /// dW = dy' x: left dy [T, O], right x [T, I], result [O, I].
  case weightGradient

  /// Additions and multiplications: 2 T I O, of each product alike.
  package static func flops(tokens: Int, inputs: Int, outputs: Int) -> Double {
    2 * Double(tokens) * Double(inputs) * Double(outputs)
  }

  /// Overwrites `result` with the product, by `library` and the threads it was last given.
  package func run(
    _ library: DenseLibrary, tokens: Int, inputs: Int, outputs: Int, left: UnsafePointer<Float>,
    right: UnsafePointer<Float>, result: UnsafeMutablePointer<Float>
  ) {
    let (t, i, o) = (tokens, inputs, outputs)
    // A product without terms is zero, and BLAS refuses rows of length 0.
    switch self {
    case .forward:
      library.multiply(
        transposeB: true, m: t, n: o, k: i, a: left, lda: max(i, 1), b: right, ldb: max(i, 1), c: result, ldc: max(o, 1)
      )
    case .inputGradient:
      library.multiply(
        m: t, n: i, k: o, a: left, lda: max(o, 1), b: right, ldb: max(i, 1), c: result, ldc: max(i, 1))
    case .weightGradient:
      library.multiply(
        transposeA: true, m: o, n: i, k: t, a: left, lda: max(o, 1), b: right, ldb: max(i, 1), c: result, ldc: max(i, 1)
      )
    }
  }
}
