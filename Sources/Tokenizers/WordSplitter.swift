/// Cuts a text into the words that byte-pair merges never cross: the pre-tokenizer.
///
/// The published expressions are matched by hand, alternative by alternative and leftmost first as an engine that
/// backtracks would:
///
///     gpt2    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///     llama3  (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
///     qwen2   llama3 with single digits: \p{N} for \p{N}{1,3}
///
/// Every character belongs to exactly one word. Any other expression is refused by whoever reads it.
enum WordSplitter: String, Sendable, CaseIterable {
  case gpt2
  case llama3
  case qwen2

  /// As tokenizer files write it.
  var expression: String {
    let folded = #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"#
    let rest = #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    return switch self {
    case .gpt2: #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
    case .llama3: folded + #"\p{N}{1,3}"# + rest
    case .qwen2: folded + #"\p{N}"# + rest
    }
  }

  /// Where the word that begins at `start` ends.
  @inline(__always)
  func end(_ text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
    self == .gpt2
      ? Self.plain(text, start) : Self.folded(text, start, digits: self == .llama3 ? 3 : 1)
  }

  private static func plain(_ text: UnsafeBufferPointer<UInt8>, _ start: Int) -> Int {
    if text[start] == UInt8(ascii: "'"), let end = contraction(text, start, ignoringCase: false) { return end }
    let first = TextScalar(text, at: start)
    let kind = CharacterClass.of(first.value)
    if first.value == 0x20, first.end < text.count {
      let next = TextScalar(text, at: first.end)
      let nextKind = CharacterClass.of(next.value)
      if nextKind != .space { return run(text, next.end, of: nextKind) }
    }
    return kind == .space ? spaces(text, start) : run(text, first.end, of: kind)
  }

  private static func folded(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, digits: Int) -> Int {
    if text[start] == UInt8(ascii: "'"), let end = contraction(text, start, ignoringCase: true) { return end }
    let first = TextScalar(text, at: start)
    let kind = CharacterClass.of(first.value)
    if kind == .letter { return run(text, first.end, of: .letter) }
    if kind == .number {
      var end = first.end
      for _ in 1..<digits where end < text.count {
        let next = TextScalar(text, at: end)
        guard CharacterClass.of(next.value) == .number else { break }
        end = next.end
      }
      return end
    }
    if first.end < text.count {
      let next = TextScalar(text, at: first.end)
      let nextKind = CharacterClass.of(next.value)
      if nextKind == .letter, !isLineEnd(first.value) { return run(text, next.end, of: .letter) }
      if first.value == 0x20, nextKind == .other { return lineEnds(text, run(text, next.end, of: .other)) }
    }
    if kind == .other { return lineEnds(text, run(text, first.end, of: .other)) }
    return spacesToLineEnd(text, start) ?? spaces(text, start)
  }

  private static func isLineEnd(_ scalar: UInt32) -> Bool { scalar == 0x0a || scalar == 0x0d }

  /// The characters of one class from `start` on.
  private static func run(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, of kind: CharacterClass) -> Int {
    var end = start
    while end < text.count {
      let next = TextScalar(text, at: end)
      guard CharacterClass.of(next.value) == kind else { break }
      end = next.end
    }
    return end
  }

  /// [\r\n]*
  private static func lineEnds(_ text: UnsafeBufferPointer<UInt8>, _ start: Int) -> Int {
    var end = start
    while end < text.count, isLineEnd(UInt32(text[end])) { end += 1 }
    return end
  }

  /// \s*[\r\n]+: up to the last line end of the white space that begins here.
  private static func spacesToLineEnd(_ text: UnsafeBufferPointer<UInt8>, _ start: Int) -> Int? {
    var end = start
    var last: Int?
    while end < text.count {
      let next = TextScalar(text, at: end)
      guard CharacterClass.of(next.value) == .space else { break }
      end = next.end
      if isLineEnd(next.value) { last = end }
    }
    return last
  }

  /// \s+(?!\S)|\s+: white space but for its last character, which goes to the word after it; all of it at the end of the
  /// text, and where it is a single character.
  private static func spaces(_ text: UnsafeBufferPointer<UInt8>, _ start: Int) -> Int {
    var end = start
    var beforeLast = start
    while end < text.count {
      let next = TextScalar(text, at: end)
      guard CharacterClass.of(next.value) == .space else { break }
      beforeLast = end
      end = next.end
    }
    return end == text.count || beforeLast == start ? end : beforeLast
  }

  /// 's 't 're 've 'm 'll 'd after an apostrophe at `start`; ignoring case, U+017F is an s.
  private static func contraction(
    _ text: UnsafeBufferPointer<UInt8>, _ start: Int, ignoringCase: Bool
  ) -> Int? {
    let fold: UInt8 = ignoringCase ? 0x20 : 0
    let rest = text.count - start
    guard rest >= 2 else { return nil }
    let first = text[start + 1] | fold
    if "stmd".utf8.contains(first) { return start + 2 }
    guard rest >= 3 else { return nil }
    if ignoringCase, text[start + 1] == 0xc5, text[start + 2] == 0xbf { return start + 3 }
    let second = text[start + 2] | fold
    switch (first, second) {
    case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
      (UInt8(ascii: "l"), UInt8(ascii: "l")):
      return start + 3
    default: return nil
    }
  }
}
