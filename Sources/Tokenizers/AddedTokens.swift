/// Tokens that are found in the text before anything else is done to it: `<s>`, `<|endoftext|>`.
///
/// The leftmost match counts, the longest among those that begin at one place, as in Hugging Face's tokenizers.
struct AddedTokens: Sendable {
  struct Token: Sendable, Equatable {
    let content: [UInt8]
    let id: Int32
  }

  /// By first byte, the longest first.
  private let byFirst: [[Token]]
  let tokens: [Token]

  init(_ tokens: [Token]) {
    self.tokens = tokens
    var byFirst = [[Token]](repeating: [], count: 256)
    for token in tokens where !token.content.isEmpty { byFirst[Int(token.content[0])].append(token) }
    self.byFirst = byFirst.map { $0.sorted { $0.content.count > $1.content.count } }
  }

  var isEmpty: Bool { tokens.isEmpty }

  /// Calls `text` and `token` for the parts of `bytes` in their order; parts of text are not empty.
  func split(
    _ bytes: ArraySlice<UInt8>, text: (ArraySlice<UInt8>) throws -> Void, token: (Int32) throws -> Void
  ) rethrows {
    guard !isEmpty else { return bytes.isEmpty ? () : try text(bytes) }
    var start = bytes.startIndex
    var place = start
    while place < bytes.endIndex {
      guard let found = match(bytes, at: place) else {
        place += 1
        continue
      }
      if place > start { try text(bytes[start..<place]) }
      try token(found.id)
      place += found.content.count
      start = place
    }
    if start < bytes.endIndex { try text(bytes[start...]) }
  }

  private func match(_ bytes: ArraySlice<UInt8>, at place: Int) -> Token? {
    byFirst[Int(bytes[place])].first { token in
      token.content.count <= bytes.endIndex - place
        && bytes[place..<place + token.content.count].elementsEqual(token.content)
    }
  }
}
