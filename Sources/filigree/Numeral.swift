import Foundation

/// Numbers for people.
enum Numeral {
  static func fixed(_ number: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", number) }

  /// 162,417,408
  static func grouped(_ number: Int) -> String {
    var text = ""
    for (index, digit) in String(abs(number)).reversed().enumerated() {
      if index > 0, index.isMultiple(of: 3) { text.append(",") }
      text.append(digit)
    }
    return (number < 0 ? "-" : "") + String(text.reversed())
  }
}
