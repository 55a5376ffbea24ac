import ArgumentParser

/// What the argument parser leaves out of its messages.
enum UsageAdvice {
  /// Options of whole numbers for which zero is one of them.
  private static let withZero: Set<Substring> = ["--dense-first", "--dense-last", "--max-tokens", "--sliding-window"]

  /// The message with the values that the option takes, where the message says that one is missing or cannot be used and
  /// not which can. The parser lists names itself, but only where a wrong one was given.
  /// - Parameter words: of the command line that was refused.
  static func completed(_ message: String, _ words: [String]) -> String {
    if let match = message.wholeMatch(of: /The value '(.*)' is invalid for '(--[a-z-]+) <[^>]*>'\.?/) {
      return "\(message); give \(number(match.2, instead: String(match.1), words))"
    }
    if let match = message.wholeMatch(of: /Missing value for '(--[a-z-]+) <[^>]*>'\.?/) {
      return values(of: match.1, words).map { "\(message); give \($0)" } ?? message
    }
    return message
  }

  private static func number(_ option: Substring, instead value: String, _ words: [String]) -> String {
    if option == "--seed" { return "a whole number from 0 to \(UInt64.max)" }
    if let number = Double(value), number >= Double(Int.max) { return "a whole number of at most \(Int.max)" }
    guard Double(value) != nil || takesWholeNumbers(option, instead: value, words) else { return "a number" }
    return "a whole number of at least \(withZero.contains(option) ? 0 : 1)"
  }

  /// Whether the parser refuses half of one too.
  private static func takesWholeNumbers(_ option: Substring, instead value: String, _ words: [String]) -> Bool {
    var words = words
    for (index, word) in words.enumerated() {
      if word == "\(option)=\(value)" { words[index] = "\(option)=0.5" }
      if word == option, words.dropFirst(index + 1).first == value { words[index + 1] = "0.5" }
    }
    return complaint(words).contains("The value '0.5' is invalid for '\(option) ")
  }

  /// What the parser, or ``completed(_:_:)``, says of a value that is none.
  private static func values(of option: Substring, _ words: [String]) -> String? {
    guard
      let place = words.indices.first(where: {
        words[$0] == option && ($0 + 1 == words.count || words[$0 + 1].hasPrefix("-"))
      })
    else { return nil }
    var words = words
    words.insert("?", at: place + 1)
    let said = complaint(words)
    guard said.hasPrefix("The value '?' is invalid for '\(option) ") else { return nil }
    if let match = said.firstMatch(of: /Please provide one of ('.*')\.?$/) {
      return String(match.1.replacing("'", with: ""))
    }
    return number(option, instead: "?", words)
  }

  private static func complaint(_ words: [String]) -> String {
    do {
      _ = try Filigree.parseAsRoot(words)
      return ""
    } catch {
      return Filigree.message(for: error)
    }
  }
}
