import Foundation

/// Alternating least squares for ``BlockLowRank``: the values of U, s and V that lower |W - W(U, s, V)| step by step.
///
/// It starts from the truncated singular value decomposition of the whole matrix, cut into blocks, which is the best with
/// all s equal; each step solves for one factor exactly. The limit is a stationary point, not always the best.
struct SharedBases {
  private let dense: [Double]
  private let shape: Shape
  private let b: Int
  private let rank: Int
  /// [O, R], [b, b, R], [b, R, I/b] as [I, R].
  private var u: [Double]
  private var s: [Double]
  private var v: [Double]

  private var rows: Int { shape.outputs / b }
  private var columns: Int { shape.inputs / b }
  private static let rounds = 20

  init(_ dense: [Double], shape: Shape, blocks: Int, rank: Int) {
    self.dense = dense
    self.shape = shape
    b = blocks
    self.rank = rank
    let factors = SingularValues(of: dense, rows: shape.outputs, columns: shape.inputs).balancedFactors(rank: rank)
    u = factors.left
    v = (0..<shape.inputs).flatMap { i in (0..<rank).map { factors.right[$0 * shape.inputs + i] } }
    s = [Double](repeating: 1, count: blocks * blocks * rank)
    var last = Double.infinity
    for _ in 0..<Self.rounds {
      solveMiddle()
      solveLeft()
      solveRight()
      let lost = squaredResidual
      guard lost < 0.99 * last else { break }
      last = lost
    }
  }

  /// In the order of the structure's layout: v [b, R, I/b], s [R, b, b], u [O, R].
  var values: [Float] {
    let right = (0..<b * rank * columns).map { index -> Float in
      let (block, rest) = index.quotientAndRemainder(dividingBy: rank * columns)
      return Float(v[(block * columns + rest % columns) * rank + rest / columns])
    }
    let middle = (0..<rank * b * b).map { Float(s[$0 % (b * b) * rank + $0 / (b * b)]) }
    return right + middle + u.map(Float.init)
  }

  private var squaredResidual: Double {
    var sum = 0.0
    for o in 0..<shape.outputs {
      for i in 0..<shape.inputs {
        let block = (o / rows * b + i / columns) * rank
        var entry = 0.0
        for r in 0..<rank { entry += u[o * rank + r] * s[block + r] * v[i * rank + r] }
        let error = dense[o * shape.inputs + i] - entry
        sum += error * error
      }
    }
    return sum
  }

  /// Row o of U: the least squares over all inputs, whose regressors are s_ij * v.
  private mutating func solveLeft() {
    for i in 0..<b {
      let regressors = (0..<shape.inputs).map { k in
        (0..<rank).map { s[(i * b + k / columns) * rank + $0] * v[k * rank + $0] }
      }
      let normal = NormalEquations(regressors)
      for o in i * rows..<(i + 1) * rows {
        let solution = normal.solve((0..<shape.inputs).map { dense[o * shape.inputs + $0] })
        u.replaceSubrange(o * rank..<(o + 1) * rank, with: solution)
      }
    }
  }

  private mutating func solveRight() {
    for j in 0..<b {
      let regressors = (0..<shape.outputs).map { o in
        (0..<rank).map { s[(o / rows * b + j) * rank + $0] * u[o * rank + $0] }
      }
      let normal = NormalEquations(regressors)
      for i in j * columns..<(j + 1) * columns {
        let solution = normal.solve((0..<shape.outputs).map { dense[$0 * shape.inputs + i] })
        v.replaceSubrange(i * rank..<(i + 1) * rank, with: solution)
      }
    }
  }

  /// s_ij: minimises |W_ij - sum_r s_r u_r v_r'|, whose normal matrix is (U'U) * (V'V) entry by entry.
  private mutating func solveMiddle() {
    for i in 0..<b {
      for j in 0..<b {
        let rowRange = i * rows..<(i + 1) * rows, columnRange = j * columns..<(j + 1) * columns
        var gram = [Double](repeating: 0, count: rank * rank), right = [Double](repeating: 0, count: rank)
        for p in 0..<rank {
          for q in 0...p {
            let left = rowRange.reduce(0.0) { $0 + u[$1 * rank + p] * u[$1 * rank + q] }
            let across = columnRange.reduce(0.0) { $0 + v[$1 * rank + p] * v[$1 * rank + q] }
            gram[p * rank + q] = left * across
            gram[q * rank + p] = left * across
          }
          for o in rowRange {
            var sum = 0.0
            for k in columnRange { sum += dense[o * shape.inputs + k] * v[k * rank + p] }
            right[p] += u[o * rank + p] * sum
          }
        }
        let solution = NormalEquations(gram: gram, size: rank).solve(gram: right)
        s.replaceSubrange((i * b + j) * rank..<(i * b + j + 1) * rank, with: solution)
      }
    }
  }
}

/// Least squares by the Cholesky factor of A'A (Golub and Van Loan 2013, section 5.3), with a ridge of 1e-12 of the mean
/// diagonal, so that dependent columns get the small solution.
private struct NormalEquations {
  private let size: Int
  /// Lower triangle, row-major.
  private var factor: [Double]
  private let rows: [[Double]]

  init(_ rows: [[Double]]) {
    let size = rows.first?.count ?? 0
    var gram = [Double](repeating: 0, count: size * size)
    for row in rows {
      for p in 0..<size where row[p] != 0 {
        for q in 0...p { gram[p * size + q] += row[p] * row[q] }
      }
    }
    self.init(gram: gram, size: size, rows: rows)
  }

  init(gram: [Double], size: Int, rows: [[Double]] = []) {
    self.size = size
    self.rows = rows
    let trace = (0..<size).reduce(0.0) { $0 + gram[$1 * size + $1] }
    let ridge = max(trace / Double(max(1, size)) * 1e-12, .leastNormalMagnitude)
    factor = gram
    for p in 0..<size {
      for q in 0...p {
        var sum = gram[p * size + q] + (p == q ? ridge : 0)
        for k in 0..<q { sum -= factor[p * size + k] * factor[q * size + k] }
        factor[p * size + q] = p == q ? max(sum, ridge).squareRoot() : sum / factor[q * size + q]
      }
    }
  }

  /// The x that minimises |A x - target|.
  func solve(_ target: [Double]) -> [Double] {
    var right = [Double](repeating: 0, count: size)
    for (row, value) in zip(rows, target) where value != 0 {
      for p in 0..<size { right[p] += row[p] * value }
    }
    return solve(gram: right)
  }

  /// The x with A'A x = right.
  func solve(gram right: [Double]) -> [Double] {
    var x = right
    for p in 0..<size {
      for k in 0..<p { x[p] -= factor[p * size + k] * x[k] }
      x[p] /= factor[p * size + p]
    }
    for p in stride(from: size - 1, through: 0, by: -1) {
      for k in (p + 1)..<max(p + 1, size) { x[p] -= factor[k * size + p] * x[k] }
      x[p] /= factor[p * size + p]
    }
    return x
  }
}
