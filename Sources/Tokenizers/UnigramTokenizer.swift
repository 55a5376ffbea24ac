/// The most probable segmentation of a word into pieces (Kudo 2018, arXiv 1804.10959): Viterbi over the trie of pieces.
///
///     best(0) = 0,   best(e) = max over pieces w that end at e of best(e - |w|) + score(w)
///
/// A character that is no piece costs 10 more than the worst piece and becomes the tokens of its bytes or the unknown
/// token; a user-defined piece scores |w| times the best score, less 0.1, as in the library. The first of equals stays.
/// Words are told apart beforehand where no piece goes on after a blank: sums then stay short, and so do their roundings.
package struct UnigramTokenizer: Tokenizer {
  package let name: String
  package let checksum: UInt32
  package let beginning: Int32?
  package let end: Int32?
  package var vocabularySize: Int { parts.pieces.count }

  private let parts: BPETokenizer.Parts
  /// (node, byte) -> node, and the piece that ends at each node.
  private let trie: MergeTable
  private let ends: [(id: Int32, score: Float)]
  private let unknownScore: Float

  init(
    _ parts: BPETokenizer.Parts, _ pieces: [(piece: [UInt8], id: Int32, score: Float, isUserDefined: Bool)],
    checksum: UInt32, beginning: Int32?, end: Int32?
  ) {
    var parts = parts
    parts.addedNormalized = AddedTokens([])
    self.parts = parts
    self.checksum = checksum
    self.beginning = beginning
    self.end = end
    name = "sentencepiece-unigram-\(parts.pieces.count)-\(TokenizerFile.text(checksum))"
    let scores = pieces.filter { !$0.isUserDefined }.map(\.score)
    let best = scores.max() ?? 0
    unknownScore = (scores.min() ?? 0) - 10
    var trie = MergeTable(capacity: pieces.reduce(0) { $0 + $1.piece.count })
    var ends: [(id: Int32, score: Float)] = [(-1, 0)]
    for piece in pieces {
      var node: Int32 = 0
      for byte in piece.piece {
        if let next = trie.merge(node, Int32(byte)) {
          node = next.symbol
        } else {
          trie.insert(node, Int32(byte), rank: 0, symbol: Int32(ends.count))
          node = Int32(ends.count)
          ends.append((-1, 0))
        }
      }
      let score = piece.isUserDefined ? Float(piece.piece.count) * best - 0.1 : piece.score
      ends[Int(node)] = (piece.id, score)
    }
    self.trie = trie
    self.ends = ends
  }

  package func encode(_ bytes: [UInt8], continuing: Bool) -> [Int32] { encoder()(bytes, continuing) }

  package func encoder() -> (_ bytes: [UInt8], _ continuing: Bool) -> [Int32] {
    var cache = WordCache()
    return { encode($0, continuing: $1, with: &cache) }
  }

  private func encode(_ bytes: [UInt8], continuing: Bool, with cache: inout WordCache) -> [Int32] {
    var text = parts.normalizer.normalize(bytes[...], continuing: continuing)
    if case .characters(let prefix, _) = parts.words, prefix.isUsed, !continuing, !text.isEmpty {
      text = TextNormalizer.blank + text
    }
    var output: [Int32] = []
    text.withUnsafeBufferPointer { text in
      var start = 0
      var wasBlank = true
      for place in 0..<(parts.joinsWords ? 0 : text.count) {
        let isBlank =
          text[place] == 0xe2 && place + 2 < text.count && text[place + 1] == 0x96 && text[place + 2] == 0x81
        if isBlank, !wasBlank, place > start {
          encode(UnsafeBufferPointer(rebasing: text[start..<place]), &cache, &output)
          start = place
        }
        // The last two bytes of a blank are no word.
        wasBlank = isBlank || wasBlank && text[place] & 0xc0 == 0x80
      }
      encode(UnsafeBufferPointer(rebasing: text[start...]), &cache, &output)
    }
    return output
  }

  private func encode(_ word: UnsafeBufferPointer<UInt8>, _ cache: inout WordCache, _ output: inout [Int32]) {
    if word.isEmpty { return }
    if word.count > WordCache.longestWord { return output.append(contentsOf: best(word)) }
    let hash = WordCache.hash(word)
    if cache.append(word, hash: hash, to: &output) { return }
    let tokens = best(word)
    cache.insert(word, hash: hash, tokens[...])
    output.append(contentsOf: tokens)
  }

  private func best(_ word: UnsafeBufferPointer<UInt8>) -> [Int32] {
    var scores = [Float](repeating: 0, count: word.count + 1)
    var starts = [Int](repeating: -1, count: word.count + 1)
    var ids = [Int32](repeating: -1, count: word.count + 1)
    var start = 0
    while start < word.count {
      let characterEnd = TextScalar(word, at: start).end
      var isCharacter = false
      func offer(_ id: Int32, _ score: Float, _ end: Int) {
        let sum = score + scores[start]
        guard starts[end] < 0 || sum > scores[end] else { return }
        (scores[end], starts[end], ids[end]) = (sum, start, id)
      }
      var node: Int32 = 0
      for place in start..<word.count {
        guard let next = trie.merge(node, Int32(word[place])) else { break }
        node = next.symbol
        let end = ends[Int(node)]
        if end.id < 0 { continue }
        offer(end.id, end.score, place + 1)
        isCharacter = isCharacter || place + 1 == characterEnd
      }
      if !isCharacter { offer(-1, unknownScore, characterEnd) }
      start = characterEnd
    }
    var pieces: [(id: Int32, range: Range<Int>)] = []
    var end = word.count
    while end > 0 {
      pieces.append((ids[end], starts[end]..<end))
      end = starts[end]
    }
    return tokens(pieces.reversed(), word)
  }

  private func tokens(_ pieces: [(id: Int32, range: Range<Int>)], _ word: UnsafeBufferPointer<UInt8>) -> [Int32] {
    var output: [Int32] = []
    var wasUnknown = false
    for piece in pieces {
      if piece.id >= 0 {
        output.append(piece.id)
      } else if !parts.fallback.isEmpty {
        for byte in word[piece.range] { output.append(parts.fallback[Int(byte)]) }
      } else if let unknown = parts.unknown, !wasUnknown {
        output.append(unknown)
      }
      wasUnknown = piece.id < 0 && parts.fallback.isEmpty
    }
    return output
  }

  package func decode(_ tokens: [Int32]) throws -> [UInt8] {
    try BPETokenizer.decode(tokens, parts, name)
  }

  package func cut(_ text: [UInt8]) -> Int? { BPETokenizer.cut(text, parts) }
}
