/// Order statistics of a few numbers; all nil when there are none.
package struct Sample: Sendable {
  package let sorted: [Double]

  package init(_ values: [Double]) {
    sorted = values.sorted()
  }

  package var mean: Double? { sorted.isEmpty ? nil : sorted.reduce(0, +) / Double(sorted.count) }

  package var median: Double? {
    guard !sorted.isEmpty else { return nil }
    let half = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
  }

  /// Median absolute deviation / median.
  package var relativeDeviation: Double? {
    guard let median, median > 0 else { return nil }
    return Sample(sorted.map { abs($0 - median) }).median.map { $0 / median }
  }

  /// Largest - smallest; nil below two values.
  package var range: Double? {
    guard sorted.count > 1, let first = sorted.first, let last = sorted.last else { return nil }
    return last - first
  }
}
