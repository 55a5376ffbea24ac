import Foundation

/// What is done to a text before it is cut into words, step by step.
struct TextNormalizer: Sendable {
  enum Step: Sendable {
    /// Before every part that is not empty.
    case prepend([UInt8])
    case replace([UInt8], with: [UInt8])
    /// Unicode's canonical composition.
    case compose
    /// SentencePiece's table, but for the words that are kept as they are.
    case map(CharacterMap, keeping: AddedTokens)
    /// No blanks at the ends, one between words.
    case collapse
  }

  var steps: [Step] = []

  static let blank = Array("\u{2581}".utf8)

  /// - Parameter continuing: nothing is put before a text that goes on, and its first blank stays.
  func normalize(_ text: ArraySlice<UInt8>, continuing: Bool) -> [UInt8] {
    var text = Array(text)
    for step in steps where !text.isEmpty {
      switch step {
      case .prepend(let prefix): if !continuing { text = prefix + text }
      case .replace(let old, let new): text = Self.replace(old, with: new, in: text)
      case .compose: text = Self.compose(text)
      case .map(let map, let kept): text = map.apply(to: text, keeping: kept)
      case .collapse: text = Self.collapse(text, continuing: continuing)
      }
    }
    return text
  }

  private static func replace(_ old: [UInt8], with new: [UInt8], in text: [UInt8]) -> [UInt8] {
    guard let first = old.first else { return text }
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 4)
    var place = 0
    while place < text.count {
      let isMatch =
        text[place] == first && old.count <= text.count - place
        && (old.count == 1 || text[place..<place + old.count].elementsEqual(old))
      if isMatch {
        result += new
        place += old.count
      } else {
        result.append(text[place])
        place += 1
      }
    }
    return result
  }

  /// ASCII is composed already; bytes that are not UTF-8 stay as they are, and so does the text around them.
  private static func compose(_ text: [UInt8]) -> [UInt8] {
    if text.allSatisfy({ $0 < 0x80 }) { return text }
    guard let string = String(validating: text, as: UTF8.self) else { return text }
    return Array(string.precomposedStringWithCanonicalMapping.utf8)
  }

  private static func collapse(_ text: [UInt8], continuing: Bool) -> [UInt8] {
    var result: [UInt8] = []
    var isAfterBlank = !continuing
    for byte in text {
      if byte == 0x20, isAfterBlank { continue }
      isAfterBlank = byte == 0x20
      result.append(byte)
    }
    while result.last == 0x20 { result.removeLast() }
    return result
  }
}
