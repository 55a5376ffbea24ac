/// The best of all patterns with two weights in each row and each column of a 4 x 4 tile: there are 90.
///
///     argmax over patterns P of  sum over P of score          (the first of equal ones)
enum TransposableSearch {
  /// The six ways to choose two of four columns, as bits.
  static let pairs: [Int] = (0..<16).filter { $0.nonzeroBitCount == 2 }

  /// Four indices into `pairs` for each pattern.
  static let patterns: [[Int]] = {
    var found: [[Int]] = []
    for a in 0..<6 {
      for b in 0..<6 {
        for c in 0..<6 {
          // Columns used twice are full, those used once are owed: the last row is what is left of two in each.
          let rows = [pairs[a], pairs[b], pairs[c]]
          let used = (0..<4).map { bit in rows.count { $0 >> bit & 1 == 1 } }
          guard used.allSatisfy({ $0 == 1 || $0 == 2 }) else { continue }
          let last = (0..<4).reduce(0) { used[$1] == 1 ? $0 | 1 << $1 : $0 }
          if let d = pairs.firstIndex(of: last) { found.append([a, b, c, d]) }
        }
      }
    }
    return found
  }()

  /// The chosen places of a row-major grid whose sides are multiples of four, ascending.
  static func places(rows: Int, columns: Int, scores: [Float]) -> [Int] {
    let flat = patterns.flatMap { $0 }
    var chosen = [Bool](repeating: false, count: rows * columns)
    var sums = [Float](repeating: 0, count: 24)
    for top in stride(from: 0, to: rows, by: 4) {
      for left in stride(from: 0, to: columns, by: 4) {
        for row in 0..<4 {
          let start = (top + row) * columns + left
          for (index, pair) in pairs.enumerated() {
            var sum: Float = 0
            for bit in 0..<4 where pair >> bit & 1 == 1 { sum += scores[start + bit] }
            sums[row * 6 + index] = sum
          }
        }
        var best = 0
        var most = -Float.infinity
        for pattern in 0..<flat.count / 4 {
          let base = pattern * 4
          let sum = sums[flat[base]] + sums[6 + flat[base + 1]] + sums[12 + flat[base + 2]] + sums[18 + flat[base + 3]]
          if sum > most { (best, most) = (pattern, sum) }
        }
        for row in 0..<4 {
          let pair = pairs[flat[best * 4 + row]]
          for bit in 0..<4 where pair >> bit & 1 == 1 { chosen[(top + row) * columns + left + bit] = true }
        }
      }
    }
    return chosen.indices.filter { chosen[$0] }
  }
}
