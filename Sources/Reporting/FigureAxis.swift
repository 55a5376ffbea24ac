import Foundation

/// An axis with its range and its marks, so that where a point lands is known without asking gnuplot.
package struct FigureAxis: Sendable {
  package let label: String
  package let low: Double
  package let high: Double
  package let isLogarithmic: Bool
  package let suffix: String

  /// An axis that holds `values` with a margin of `margin` of their extent on either side.
  ///
  /// - Parameter from: a value that the axis starts at, without a margin.
  package init(
    _ label: String, over values: [Double], from start: Double? = nil, margin: Double = 0.05,
    isLogarithmic: Bool = false, suffix: String = ""
  ) {
    self.label = label
    self.isLogarithmic = isLogarithmic
    self.suffix = suffix
    let usable = values.filter { $0.isFinite && (!isLogarithmic || $0 > 0) }
    var low = usable.min() ?? (isLogarithmic ? 0.1 : 0)
    var high = usable.max() ?? 1
    if isLogarithmic {
      let factor = max(1.05, pow(high / low, margin))
      low /= factor
      high *= factor
    } else {
      let extent = high - low
      let pad = extent > 0 ? margin * extent : max(abs(high) * 0.05, 1e-6)
      low = start ?? (low - pad)
      high += pad
    }
    self.low = low
    self.high = high > low ? high : low + 1
  }

  /// 0 at the low end, 1 at the high end.
  package func fraction(_ value: Double) -> Double {
    isLogarithmic ? log(value / low) / log(high / low) : (value - low) / (high - low)
  }

  /// At most about `count` round values within the range, with their text.
  package func marks(count: Int) -> [(value: Double, text: String)] {
    (isLogarithmic ? logarithmicMarks(count) : linearMarks(count)).map { ($0, text(of: $0) + suffix) }
  }

  private func linearMarks(_ count: Int) -> [Double] {
    let rough = (high - low) / Double(max(1, count))
    let power = pow(10, log10(rough).rounded(.down))
    let step = ([1, 2, 2.5, 5, 10].first { $0 * power >= rough * 0.999 } ?? 10) * power
    let first = (low / step).rounded(.up)
    let last = (high / step).rounded(.down)
    guard last >= first, last - first < 100 else { return [low, high] }
    return stride(from: first, through: last, by: 1).map { $0 * step }
  }

  private func logarithmicMarks(_ count: Int) -> [Double] {
    let decades = Int(log10(low).rounded(.down))...Int(log10(high).rounded(.up))
    for factors in [[1.0, 2, 5], [1, 3], [1]] {
      let marks = decades.flatMap { decade in factors.map { $0 * pow(10, Double(decade)) } }
        .filter { $0 >= low * 0.999 && $0 <= high * 1.001 }
      if marks.count <= count + 1 && !marks.isEmpty { return marks }
    }
    let marks = decades.map { pow(10, Double($0)) }.filter { $0 >= low * 0.999 && $0 <= high * 1.001 }
    let every = max(1, (marks.count + count - 1) / max(1, count))
    return marks.enumerated().filter { $0.offset % every == 0 }.map(\.element)
  }

  private func text(of value: Double) -> String {
    let text = String(format: "%.6g", value)
    return text.hasPrefix("-") ? "−" + text.dropFirst() : text
  }
}
