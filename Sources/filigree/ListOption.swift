import Arrays
import Structures

/// Comma-separated options, read with care: one sentence says which item cannot be used.
enum ListOption {
  static func items(_ text: String) -> [String] {
    text.split(separator: ",").map { String($0.trimmingPrefix { $0 == " " }) }.filter { !$0.isEmpty }
  }

  private static func numbers<Number>(
    _ text: String, _ option: String, _ what: String, _ parse: (String) -> Number?
  ) throws -> [Number] {
    let items = items(text)
    guard !items.isEmpty else { throw Refusal.badInput("\(option) is empty; give \(what)") }
    return try items.map { item in
      guard let number = parse(item) else {
        throw Refusal.badInput("'\(item)' in \(option) cannot be used; give \(what)")
      }
      return number
    }
  }

  static func densities(_ text: String) throws -> [Double] {
    try numbers(text, "--densities", "numbers above 0 and at most 1") { item in
      Double(item).flatMap { $0 > 0 && $0 <= 1 ? $0 : nil }
    }
  }

  /// The one density of --density or --sparsity; 1 without either.
  static func density(_ density: Double?, sparsity: Double?) throws -> Double {
    if density != nil && sparsity != nil {
      throw Refusal.badInput("--density and --sparsity say the same thing twice; give one of them")
    }
    let value = density ?? sparsity.map { 1 - $0 } ?? 1
    guard value > 0, value <= 1 else {
      throw Refusal.badInput("the density \(value) is not above 0 and at most 1; give another --density or --sparsity")
    }
    return value
  }

  static func shapes(_ text: String) throws -> [Shape] {
    try numbers(text, "--shapes", "outputs x inputs, such as 3072x768") { item in
      let sides = item.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
      guard sides.count == 2, let outputs = sides[0], let inputs = sides[1],
        (1...1 << 20).contains(outputs), (1...1 << 20).contains(inputs), outputs * inputs <= 1 << 30
      else { return nil }
      return Shape(outputs: outputs, inputs: inputs)
    }
  }

  /// Learning rates, each once.
  static func rates(_ text: String) throws -> [Double] {
    let rates = try numbers(text, "--learning-rates", "numbers above zero") { item in
      Double(item).flatMap { $0 > 0 && $0.isFinite ? $0 : nil }
    }
    guard Set(rates).count == rates.count else {
      throw Refusal.badInput("--learning-rates names a rate twice; give each once")
    }
    return rates
  }

  static func counts(_ text: String, _ option: String) throws -> [Int] {
    try numbers(text, option, "whole numbers above zero") { item in
      Int(item).flatMap { (1...1 << 20).contains($0) ? $0 : nil }
    }
  }
}
