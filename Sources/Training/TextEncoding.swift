import Tokenizers

/// A text of any length as tokens: cut where the tokenizer allows, encoded part by part, kept in a ``ByteStore``.
///
/// Where a tokenizer allows no cut, lines are told apart instead: the text of a run is then one encoded from line end to
/// line end, which differs from the whole's at those places only.
///
/// A document whose end is given is a text of its own, and the tokenizer's end token follows it where there is one: a model
/// that is trained on many documents learns where they end. Without ends all is one running text.
package enum TextEncoding {
  /// Bytes encoded at once.
  private static let part = 1 << 22

  /// - Parameters:
  ///   - documents: where the documents of `store` end.
  ///   - progress: called with the bytes done.
  package static func tokens(
    of store: ByteStore, _ range: Range<Int>, by tokenizer: any Tokenizer, documents: DocumentEnds = .none,
    progress: (Int) throws -> Void = { _ in }
  ) throws -> TokenStream {
    if tokenizer is ByteTokenizer { return try TokenStream(store, range, width: 1) }
    let width = tokenizer.vocabularySize <= 1 << 16 ? 2 : 4
    var writer = ByteStoreWriter()
    try forEachPart(of: store, range, tokenizer, documents, progress) { tokens in
      if width == 2 {
        try tokens.map { UInt16(truncatingIfNeeded: $0) }.withUnsafeBytes { try writer.append($0) }
      } else {
        try tokens.withUnsafeBytes { try writer.append($0) }
      }
    }
    let tokens = try writer.finish()
    return try TokenStream(tokens, 0..<tokens.count, width: width)
  }

  private static func forEachPart(
    of store: ByteStore, _ range: Range<Int>, _ tokenizer: any Tokenizer, _ documents: DocumentEnds,
    _ progress: (Int) throws -> Void, _ body: ([Int32]) throws -> Void
  ) throws {
    var ends = DocumentEnds.Cursor(documents)
    var next = try ends.next()
    while let end = next, end <= range.lowerBound { next = try ends.next() }
    let encode = tokenizer.encoder()
    var start = range.lowerBound
    var isContinuing = false
    var size = part
    while start < range.upperBound {
      let limit = min(next ?? range.upperBound, range.upperBound)
      let end = min(start + size, limit)
      var text = try store.bytes(start..<end)
      if end < limit {
        let newline = { text.lastIndex(of: 0x0a).map { $0 + 1 } }
        guard let cut = tokenizer.cut(text) ?? newline(), cut > 0 else {
          // Not a single place: more text, then.
          size *= 2
          continue
        }
        text.removeLast(text.count - cut)
      }
      try body(encode(text, isContinuing))
      start += text.count
      isContinuing = true
      if start == next {
        if let token = tokenizer.end { try body([token]) }
        next = try ends.next()
        isContinuing = false
      }
      size = part
      try progress(start - range.lowerBound)
    }
  }
}
