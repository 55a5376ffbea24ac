import Foundation

/// Numbers as the report prints them: few digits, SI prefixes, a true minus sign, a dash for what is not known.
enum Numerals {
  static let unknown = "–"

  /// `digits` significant digits, without an exponent between 1e-4 and 1e7.
  static func significant(_ x: Double, _ digits: Int = 3) -> String {
    guard x.isFinite else { return unknown }
    if x == 0 { return "0" }
    let size = abs(x)
    if size < 1e-4 || size >= 1e7 { return withMinus(String(format: "%.\(digits - 1)e", x)) }
    let decimals = max(0, digits - 1 - Int(log10(size).rounded(.down)))
    return withMinus(String(format: "%.\(decimals)f", x))
  }

  /// A loss: three decimals.
  static func loss(_ x: Double?) -> String {
    guard let x, x.isFinite else { return unknown }
    return withMinus(String(format: "%.3f", x))
  }

  /// A difference of losses: three decimals, or one significant digit where three decimals would show none.
  static func difference(_ x: Double?, signed: Bool = true) -> String {
    guard let x, x.isFinite else { return unknown }
    let text = abs(x) >= 0.001 || x == 0 ? String(format: "%.3f", abs(x)) : significant(abs(x), 1)
    return (signed ? (x < 0 ? "−" : "+") : "") + text
  }

  static func times(_ x: Double?) -> String {
    guard let x, x.isFinite else { return unknown }
    return significant(x, x >= 100 ? 3 : (x >= 9.95 ? 3 : (x < 0.995 ? 2 : 3))) + "×"
  }

  static func percent(_ x: Double?, signed: Bool = false) -> String {
    guard let x, x.isFinite else { return unknown }
    let percent = 100 * x
    let text = String(format: abs(percent) < 9.95 ? "%.1f" : "%.0f", abs(percent)) + "%"
    return (percent < 0 ? "−" : (signed ? "+" : "")) + text
  }

  static func milliseconds(_ seconds: Double) -> String { significant(seconds * 1000, 3) }

  static func seconds(_ x: Double?) -> String {
    guard let x, x.isFinite else { return unknown }
    if x < 1 { return significant(x * 1000, 3) + " ms" }
    if x < 600 { return significant(x, 3) + " s" }
    return x < 36_000 ? significant(x / 60, 3) + " min" : significant(x / 3600, 3) + " h"
  }

  /// 1234567 as "1.23 M".
  static func count(_ x: Double) -> String {
    for (size, name) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] where abs(x) >= size {
      return significant(x / size, 3) + " " + name
    }
    return significant(x, 3)
  }

  static func bytes(_ x: Double) -> String {
    for (size, name) in [(1_099_511_627_776.0, "TiB"), (1_073_741_824, "GiB"), (1_048_576, "MiB"), (1024, "KiB")]
    where abs(x) >= size {
      return significant(x / size, 3) + " " + name
    }
    return significant(x, 3) + " B"
  }

  /// 1234567 as "1 234 567", with thin spaces.
  static func grouped(_ x: Int) -> String {
    let digits = Array(String(x.magnitude))
    var text = x < 0 ? "−" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0 && (digits.count - index) % 3 == 0 { text.append("\u{202F}") }
      text.append(digit)
    }
    return text
  }

  /// "1 token", "2 048 tokens".
  static func tokens(_ count: Int) -> String { "\(grouped(count)) token\(count == 1 ? "" : "s")" }

  /// "a", "a and b", "a, b and c".
  static func list(_ names: [String]) -> String {
    guard let last = names.last, names.count > 1 else { return names.first ?? "" }
    return names.dropLast().joined(separator: ", ") + " and " + last
  }

  private static func withMinus(_ text: String) -> String {
    text.hasPrefix("-") ? "−" + text.dropFirst() : text
  }
}
