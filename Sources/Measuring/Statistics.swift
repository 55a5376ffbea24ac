/// Summaries of samples. Every function is total: no samples give nil, and a sample that is not a number makes the
/// result not a number.
package enum Statistics {
  /// The middle sample; the mean of the two middle ones when their count is even.
  package static func median(_ samples: [Double]) -> Double? { quantile(samples, 0.5) }

  /// median |x - median(x)|, in the unit of the samples. One sample gives 0.
  package static func medianAbsoluteDeviation(_ samples: [Double]) -> Double? {
    guard let middle = median(samples) else { return nil }
    return median(samples.map { abs($0 - middle) })
  }

  /// Median absolute deviation / |median|: what records call `spread`. 0 when nothing deviates, whatever the median;
  /// infinite when something does and the median is 0, which times cannot do.
  package static func spread(_ samples: [Double]) -> Double? {
    guard let middle = median(samples), let deviation = medianAbsoluteDeviation(samples) else { return nil }
    return deviation == 0 ? 0 : deviation / abs(middle)
  }

  /// The value below which the fraction `p` of the samples lies, linear between neighbours: position p (n - 1) of the
  /// sorted samples (Hyndman and Fan 1996, type 7). `p` is held within [0, 1].
  package static func quantile(_ samples: [Double], _ p: Double) -> Double? {
    guard !samples.isEmpty else { return nil }
    if p.isNaN || samples.contains(where: \.isNaN) { return .nan }
    let sorted = samples.sorted()
    let position = min(max(p, 0), 1) * Double(sorted.count - 1)
    let below = Int(position)
    let above = min(below + 1, sorted.count - 1)
    let fraction = position - Double(below)
    if fraction == 0 || sorted[below] == sorted[above] { return sorted[below] }
    return sorted[below] * (1 - fraction) + sorted[above] * fraction
  }

  /// sum x / n.
  package static func mean(_ samples: [Double]) -> Double? {
    samples.isEmpty ? nil : samples.reduce(0, +) / Double(samples.count)
  }

  /// sqrt(sum (x - mean)^2 / (n - 1)). Nil for fewer than two samples.
  package static func standardDeviation(_ samples: [Double]) -> Double? {
    guard samples.count > 1, let mean = mean(samples) else { return nil }
    let squares = samples.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (squares / Double(samples.count - 1)).squareRoot()
  }

  /// standardDeviation / sqrt(n), the error of the mean. Nil for fewer than two samples.
  package static func standardError(_ samples: [Double]) -> Double? {
    standardDeviation(samples).map { $0 / Double(samples.count).squareRoot() }
  }
}
