import Arrays

/// How the first weights of a structure are drawn. Every structure has ``variance``; the others are published ones, and only
/// the structures named have them. All but ``zeroLast`` are scaled so that y has gain^2 times x's variance, which their
/// sources leave to chance: orthonormal blocks, for one, are published without a factor.
public enum Initialization: String, CaseIterable, Sendable {
  /// Independent normal numbers of the deviation that keeps the variance. Of every structure; the default.
  case variance
  /// Every block of both factors has orthonormal rows, or columns where it has more rows. Of every product of two factors
  /// (Wei et al. 2024, arXiv 2406.16450, for block-shuffle and block-dense).
  case orthonormal
  /// The nearest product to a normal dense matrix, the roots of its singular values on both sides. Of `lowrank` (Wei et al.
  /// 2024, arXiv 2406.16450).
  case spectral
  /// The factor that writes y is zero, so that training begins without the product: of every product of two factors, in a
  /// model at the end of a residual branch alone (Qiu et al. 2024, arXiv 2406.06248); and of the product in a sum (Han et
  /// al. 2024, arXiv 2406.02214), whose sparse part then has all of the variance.
  case zeroLast = "zero-last"

  public init(named name: String) throws {
    guard let found = Initialization(rawValue: name) else {
      throw Refusal.badInput(
        "there is no initialisation '\(name)'; they are "
          + Initialization.allCases.map(\.rawValue).joined(separator: ", "))
    }
    self = found
  }
}

extension Structure {
  public var initializations: [Initialization] { [.variance] }

  /// Nil where the structure has no initialisation of that name.
  public func initialValues(
    _ initialization: Initialization, gain: Double, using generator: inout SeededGenerator
  ) -> [Float]? {
    initialization == .variance ? initialValues(gain: gain, using: &generator) : nil
  }
}

extension FactorisedStructure {
  public var initializations: [Initialization] { [.variance, .orthonormal, .zeroLast] }

  public func initialValues(
    _ initialization: Initialization, gain: Double, using generator: inout SeededGenerator
  ) -> [Float]? { factorValues(initialization, gain: gain, using: &generator) }

  func factorValues(
    _ initialization: Initialization, gain: Double, using generator: inout SeededGenerator
  ) -> [Float]? {
    switch initialization {
    case .variance: return initialValues(gain: gain, using: &generator)
    case .orthonormal:
      // Each factor takes half of the gain.
      return [first, second].flatMap { grid in
        (0..<grid.blocks).flatMap { _ in
          Orthonormal.block(
            rows: grid.outputs.members, columns: grid.inputs.members, gain: gain.squareRoot(), using: &generator)
        }
      }
    case .spectral: return nil
    case .zeroLast:
      let values = initialValues(gain: gain, using: &generator)
      return Array(values[..<first.count]) + [Float](repeating: 0, count: second.count)
    }
  }
}

/// Random matrices with orthonormal rows or columns, uniform among them.
enum Orthonormal {
  /// [rows, columns], scaled so that its rows have the mean square norm gain^2.
  static func block(rows: Int, columns: Int, gain: Double, using generator: inout SeededGenerator) -> [Float] {
    let isWide = rows <= columns
    let vectors = orthonormal(count: min(rows, columns), of: max(rows, columns), using: &generator)
    let scale = isWide ? gain : gain * (Double(rows) / Double(columns)).squareRoot()
    return (0..<rows).flatMap { r in
      (0..<columns).map { c in Float(scale * (isWide ? vectors[r][c] : vectors[c][r])) }
    }
  }

  /// Normal vectors made orthonormal one after another (modified Gram-Schmidt, each twice).
  private static func orthonormal(count: Int, of length: Int, using generator: inout SeededGenerator) -> [[Double]] {
    var vectors: [[Double]] = []
    while vectors.count < count {
      var v = (0..<length).map { _ in generator.normal() }
      for _ in 0..<2 {
        for u in vectors {
          var dot = 0.0
          for i in 0..<length { dot += u[i] * v[i] }
          for i in 0..<length { v[i] -= dot * u[i] }
        }
      }
      let norm = v.reduce(0) { $0 + $1 * $1 }.squareRoot()
      // Never but by a miracle of rounding: another draw then.
      guard norm > 1e-6 else { continue }
      vectors.append(v.map { $0 / norm })
    }
    return vectors
  }
}
