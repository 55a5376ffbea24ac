/// What ``BPETokenizer`` encodes with: the words of one text after another through the cache or the merges.
struct WordCoder {
  var output: [Int32] = []
  private let parts: BPETokenizer.Parts
  private var merger: PairMerger
  private var cache = WordCache()
  private var symbols: [Int32] = []

  init(_ parts: BPETokenizer.Parts) {
    self.parts = parts
    merger = PairMerger(parts.table)
  }

  /// - Parameters:
  ///   - isFirst: whether the whole text begins here.
  ///   - isContinuing: whether the text goes on from one encoded before.
  mutating func encode(_ text: ArraySlice<UInt8>, isFirst: Bool, isContinuing: Bool) {
    switch parts.words {
    case .bytes(let splitter, let prefixed):
      if prefixed, !isContinuing, text.first.map({ $0 != 0x20 }) ?? false {
        let longer = [0x20] + text
        longer.withUnsafeBufferPointer { encodeBytes($0, splitter) }
      } else {
        text.withUnsafeBufferPointer { encodeBytes($0, splitter) }
      }
    case .characters(let prefix, let splits):
      let isThere = text.starts(with: TextNormalizer.blank)
      if prefix.isUsed, prefix.everywhere ? !isContinuing : isFirst, !(prefix.unlessThere && isThere) {
        let longer = TextNormalizer.blank + text
        longer.withUnsafeBufferPointer { encodeCharacters($0, splits) }
      } else {
        text.withUnsafeBufferPointer { encodeCharacters($0, splits) }
      }
    }
  }

  private mutating func encodeBytes(_ text: UnsafeBufferPointer<UInt8>, _ splitter: WordSplitter?) {
    var start = 0
    while start < text.count {
      let end = splitter?.end(text, from: start) ?? text.count
      encode(word: UnsafeBufferPointer(rebasing: text[start..<end]))
      start = end
    }
  }

  /// Words begin at a U+2581 that follows something else, or at every one where the file says so.
  private mutating func encodeCharacters(_ text: UnsafeBufferPointer<UInt8>, _ splits: Bool) {
    if parts.joinsWords && !splits { return encode(word: text) }
    var start = 0
    var wasBlank = true
    var place = 0
    while place < text.count {
      let isBlank =
        text[place] == 0xe2 && place + 2 < text.count && text[place + 1] == 0x96 && text[place + 2] == 0x81
      if isBlank, splits || !wasBlank, place > start {
        encode(word: UnsafeBufferPointer(rebasing: text[start..<place]))
        start = place
      }
      wasBlank = isBlank
      place += isBlank ? 3 : 1
    }
    if start < text.count { encode(word: UnsafeBufferPointer(rebasing: text[start...])) }
  }

  private mutating func encode(word: UnsafeBufferPointer<UInt8>) {
    guard word.count <= WordCache.longestWord else { return append(word) }
    let hash = WordCache.hash(word)
    if cache.append(word, hash: hash, to: &output) { return }
    let before = output.count
    append(word)
    cache.insert(word, hash: hash, output[before...])
  }

  private mutating func append(_ word: UnsafeBufferPointer<UInt8>) {
    if !parts.wholeWords.isEmpty, let token = parts.wholeWords[Array(word)] { return output.append(token) }
    symbols.removeAll(keepingCapacity: true)
    if !parts.byteSymbols.isEmpty {
      for byte in word { symbols.append(parts.byteSymbols[Int(byte)]) }
      merger.merge(&symbols)
      return output.append(contentsOf: symbols)
    }
    var place = 0
    while place < word.count {
      let scalar = TextScalar(word, at: place)
      let isReplaced = scalar.value == 0xfffd && scalar.end == place + 1
      if let symbol = isReplaced ? nil : parts.characterSymbols[scalar.value] {
        symbols.append(symbol)
      } else if parts.fallback.isEmpty {
        symbols.append(PairMerger.unknown)
      } else {
        for byte in word[place..<scalar.end] { symbols.append(parts.fallback[Int(byte)]) }
      }
      place = scalar.end
    }
    merger.merge(&symbols)
    finish()
  }

  /// Symbols that are no tokens become those of their bytes, or the unknown token.
  private mutating func finish() {
    var wasUnknown = false
    for symbol in symbols {
      let inner = Int(symbol) - parts.pieces.count
      if symbol >= 0, inner < 0 {
        output.append(symbol)
        wasUnknown = false
      } else if inner >= 0, !parts.fallback.isEmpty, let scalar = Unicode.Scalar(parts.innerCharacters[inner]) {
        for byte in String(Character(scalar)).utf8 { output.append(parts.fallback[Int(byte)]) }
        wasUnknown = false
      } else if let unknown = parts.unknown, !(wasUnknown && parts.fusesUnknown) {
        output.append(unknown)
        wasUnknown = true
      }
    }
  }
}
