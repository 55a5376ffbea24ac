/// The words of a command line.
enum Arguments {
  /// A number below zero is joined to the option before it, "--learning-rate=-1": the parser would take a word that begins
  /// with a dash for another option and say that the value is missing. No option's name begins as a number does.
  static func joiningNegatives(_ words: [String]) -> [String] {
    var joined: [String] = [], isOption = false
    for (index, word) in words.enumerated() {
      if word == "--" { return joined + words[index...] }
      if isOption, isNegative(word) {
        joined[joined.count - 1] += "=" + word
        isOption = false
      } else {
        joined.append(word)
        isOption = word.hasPrefix("--") && !word.contains("=")
      }
    }
    return joined
  }

  /// "-1", "-.5", "-1e-3,2", "-inf".
  private static func isNegative(_ word: String) -> Bool {
    guard word.first == "-", let next = word.dropFirst().first else { return false }
    return (next.isASCII && next.isWholeNumber) || next == "." || Double(word) != nil
  }
}
