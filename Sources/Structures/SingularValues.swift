import Foundation

/// The singular value decomposition A = U S V' of a small dense matrix, by one-sided Jacobi rotations in Double
/// (Hestenes 1958; Demmel and Veselic 1992). O(min^2 max) a sweep, under ten sweeps as a rule.
struct SingularValues {
  private let rows: Int
  private let columns: Int
  /// Orthogonal vectors of the longer side, scaled by the singular values, and unit vectors of the shorter side;
  /// each [min(rows, columns)] vectors, in descending order of the values.
  private var long: [[Double]]
  private var short: [[Double]]

  init(of matrix: [Double], rows: Int, columns: Int) {
    self.rows = rows
    self.columns = columns
    let count = min(rows, columns)
    long = (0..<count).map { c in
      rows >= columns ? (0..<rows).map { matrix[$0 * columns + c] } : (0..<columns).map { matrix[c * columns + $0] }
    }
    short = (0..<count).map { c in (0..<count).map { $0 == c ? 1 : 0 } }
    // Rotations stop changing anything long before this; the bound only guards against endless work.
    var sweeps = 0
    while sweeps < 60, sweep() { sweeps += 1 }
    let norms = long.map { $0.reduce(0) { $0 + $1 * $1 } }
    let order = norms.indices.sorted { norms[$0] > norms[$1] }
    long = order.map { long[$0] }
    short = order.map { short[$0] }
  }

  /// Makes every pair of vectors orthogonal once; false when all of them were already.
  private mutating func sweep() -> Bool {
    var changed = false
    for p in 0..<long.count {
      for q in (p + 1)..<max(p + 1, long.count) {
        var alpha = 0.0, beta = 0.0, gamma = 0.0
        for i in long[p].indices {
          alpha += long[p][i] * long[p][i]
          beta += long[q][i] * long[q][i]
          gamma += long[p][i] * long[q][i]
        }
        guard gamma * gamma > 1e-30 * alpha * beta else { continue }
        changed = true
        let zeta = (beta - alpha) / (2 * gamma)
        let t = (zeta >= 0 ? 1.0 : -1.0) / (abs(zeta) + (1 + zeta * zeta).squareRoot())
        let c = 1 / (1 + t * t).squareRoot(), s = c * t
        SingularValues.rotate(&long, p, q, c, s)
        SingularValues.rotate(&short, p, q, c, s)
      }
    }
    return changed
  }

  private static func rotate(_ vectors: inout [[Double]], _ p: Int, _ q: Int, _ c: Double, _ s: Double) {
    for i in vectors[p].indices {
      let a = vectors[p][i], b = vectors[q][i]
      vectors[p][i] = c * a - s * b
      vectors[q][i] = s * a + c * b
    }
  }

  /// left [rows, rank] and right [rank, columns], whose product is the nearest matrix of that rank; both carry the roots
  /// of the singular values. Ranks beyond the matrix's own get zeros.
  func balancedFactors(rank: Int) -> (left: [Double], right: [Double], rank: Int) {
    var left = [Double](repeating: 0, count: rows * rank)
    var right = [Double](repeating: 0, count: rank * columns)
    for r in 0..<min(rank, long.count) {
      let sigma = long[r].reduce(0) { $0 + $1 * $1 }.squareRoot()
      guard sigma > 0 else { continue }
      let root = sigma.squareRoot()
      let tall = rows >= columns
      for i in 0..<rows { left[i * rank + r] = tall ? long[r][i] / root : short[r][i] * root }
      for j in 0..<columns { right[r * columns + j] = tall ? short[r][j] * root : long[r][j] / root }
    }
    return (left, right, rank)
  }
}
