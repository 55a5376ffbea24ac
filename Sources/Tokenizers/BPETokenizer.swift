import Arrays

/// Byte-pair encoding (Sennrich et al. 2016, arXiv 1508.07909): a word's symbols are merged, the pair learned first
/// first, until no learned pair is left.
///
/// Two kinds: byte-level (GPT-2, Llama 3), whose first symbols are the 256 bytes, and the characters of Llama, Mistral
/// and SentencePiece, where blanks are U+2581 and a character without a token becomes the tokens of its bytes.
/// Made by ``TokenizerFile``, from files, and by ``PairTrainer``.
package struct BPETokenizer: Tokenizer {
  package let name: String
  package let checksum: UInt32
  package let beginning: Int32?
  package let end: Int32?
  let parts: Parts

  /// What a file says; checked by whoever fills it in.
  struct Parts: Sendable {
    enum Words: Sendable {
      /// Of bytes, cut by an expression, or not at all; with a blank put before a text that begins without.
      case bytes(WordSplitter?, prefixed: Bool)
      /// Of characters, U+2581 for blanks.
      case characters(prefix: Prefix, splits: Bool)
    }

    /// Whether U+2581 is put before a part.
    struct Prefix: Sendable, Equatable {
      var isUsed: Bool
      /// Before every part between added tokens, or only where the text begins.
      var everywhere = false
      /// Not where the part begins with one.
      var unlessThere = false
    }

    /// What each token stands for; empty where there is none of this number.
    var pieces: [[UInt8]]
    var table: MergeTable
    var words: Words
    var normalizer = TextNormalizer()
    /// First symbols: of the 256 bytes, or of characters by their number.
    var byteSymbols: [Int32] = []
    var characterSymbols: [UInt32: Int32] = [:]
    /// Characters that only stand inside pieces; their symbols follow the last token.
    var innerCharacters: [UInt32] = []
    /// Tokens of the 256 bytes for characters without a symbol.
    var fallback: [Int32] = []
    var unknown: Int32?
    var fusesUnknown = false
    /// Words that are tokens are not taken apart.
    var wholeWords: [[UInt8]: Int32] = [:]
    var added = AddedTokens([])
    var addedNormalized = AddedTokens([])
    /// Whether some piece continues after a U+2581 inside it, so that words cannot be told apart beforehand.
    var joinsWords = false
    /// Whether a text loses the blank it was given at the front, and, piece by piece, those that follow it.
    var stripsFirstBlank = false
    var stripsLeadingBlanks = false
  }

  init(_ parts: Parts, kind: String, checksum: UInt32, beginning: Int32?, end: Int32?) {
    self.parts = parts
    self.checksum = checksum
    self.beginning = beginning
    self.end = end
    name = "\(kind)-\(parts.pieces.count)-\(TokenizerFile.text(checksum))"
  }

  package var vocabularySize: Int { parts.pieces.count }

  package func encode(_ bytes: [UInt8], continuing: Bool) -> [Int32] { encoder()(bytes, continuing) }

  package func encoder() -> (_ bytes: [UInt8], _ continuing: Bool) -> [Int32] {
    var coder = WordCoder(parts)
    return { bytes, continuing in
      coder.output.removeAll(keepingCapacity: true)
      encode(bytes, continuing: continuing, with: &coder)
      return coder.output
    }
  }

  private func encode(_ bytes: [UInt8], continuing: Bool, with coder: inout WordCoder) {
    var isContinuing = continuing
    var isFirst = !continuing
    parts.added.split(bytes[...]) { text in
      let normal = parts.normalizer.normalize(text, continuing: isContinuing)
      parts.addedNormalized.split(normal[...]) { text in
        coder.encode(text, isFirst: isFirst, isContinuing: isContinuing)
        (isFirst, isContinuing) = (false, false)
      } token: { token in
        coder.output.append(token)
        (isFirst, isContinuing) = (false, false)
      }
      isContinuing = false
    } token: { token in
      coder.output.append(token)
      (isFirst, isContinuing) = (false, false)
    }
  }

  /// Refused: a token that the tokenizer does not have, with its position.
  package func decode(_ tokens: [Int32]) throws -> [UInt8] { try Self.decode(tokens, parts, name) }

  static func decode(_ tokens: [Int32], _ parts: Parts, _ name: String) throws -> [UInt8] {
    var bytes: [UInt8] = []
    // Control tokens have no text: the first piece comes after them.
    var start = 0
    for (position, token) in tokens.enumerated() {
      guard token >= 0, Int(token) < parts.pieces.count else {
        throw Refusal.badInput(
          "token \(token) at position \(position) is not one of the \(parts.pieces.count) of the tokenizer \"\(name)\""
        )
      }
      let piece = parts.pieces[Int(token)]
      // The surface of the unknown token has blanks of its own.
      let isLeading = bytes.isEmpty && piece.first == 0x20 && token != parts.unknown
      let strips = parts.stripsLeadingBlanks || parts.stripsFirstBlank && position == start
      if isLeading, strips { bytes += piece[1...] } else { bytes += piece }
      if piece.isEmpty, position == start { start += 1 }
    }
    return bytes
  }

  /// Before a blank or newline that follows an ASCII letter: there every expression ends a word, and no piece goes on.
  package func cut(_ text: [UInt8]) -> Int? { Self.cut(text, parts) }

  static func cut(_ text: [UInt8], _ parts: Parts) -> Int? {
    let crosses =
      parts.joinsWords
      || (parts.added.tokens + parts.addedNormalized.tokens).contains { $0.content.contains { $0 <= 0x20 } }
    if crosses { return nil }
    if case .bytes(nil, _) = parts.words { return nil }
    if case .bytes = parts.words { return wordBoundary(text) }
    return text.indices.dropFirst().last { text[$0] == 0x20 && isLetter(text[$0 - 1]) }
  }

  /// The last blank or newline after an ASCII letter: no expression's word goes across.
  static func wordBoundary(_ text: [UInt8]) -> Int? {
    text.indices.dropFirst().last { (text[$0] == 0x20 || text[$0] == 0x0a) && isLetter(text[$0 - 1]) }
  }

  private static func isLetter(_ byte: UInt8) -> Bool { byte < 0x80 && (0x41...0x5a).contains(byte & 0xdf) }
}
