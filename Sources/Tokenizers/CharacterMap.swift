/// SentencePiece's table of normalisations: byte strings and what replaces them, the longest match first.
///
///     u32 n | n bytes of a double-array trie, 32-bit units | texts, each ended by a zero
///
/// A unit of the trie (Yata's darts-clone): bits 0-7 label, 8 whether a value hangs below, 10-30 the offset of the
/// children, shifted left by 8 more where bit 9 is set; in a leaf, bits 0-30 are the value, where the text begins.
/// All little-endian, and none of it is believed: a step outside ends the match.
struct CharacterMap: Sendable {
  private let units: [UInt32]
  private let texts: [UInt8]

  /// Nil where the sizes do not fit.
  init?(_ blob: ArraySlice<UInt8>) {
    let bytes = Array(blob)
    guard bytes.count >= 4 else { return nil }
    let size = bytes[..<4].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard size >= 4, size % 4 == 0, size <= bytes.count - 4 else { return nil }
    units = stride(from: 4, to: 4 + size, by: 4).map { place in
      bytes[place..<place + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
    texts = Array(bytes[(4 + size)...])
  }

  /// Well-formed characters that the table does not know stay as they are.
  func apply(to text: [UInt8], keeping kept: AddedTokens) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    let contents = Dictionary(kept.tokens.map { ($0.id, $0.content) }) { first, _ in first }
    kept.split(text[...]) { part in
      part.withUnsafeBufferPointer { part in
        var place = 0
        while place < part.count {
          if let match = longest(part, at: place) {
            append(match.text, to: &result)
            place += match.length
          } else {
            let end = TextScalar(part, at: place).end
            result += part[place..<end]
            place = end
          }
        }
      }
    } token: {
      result += contents[$0] ?? []
    }
    return result
  }

  private func append(_ start: Int, to result: inout [UInt8]) {
    var place = start
    while place < texts.count, texts[place] != 0 {
      result.append(texts[place])
      place += 1
    }
  }

  private static func offset(_ unit: UInt32) -> Int { Int((unit >> 10) << ((unit & 0x200) >> 6)) }

  private func longest(_ text: UnsafeBufferPointer<UInt8>, at start: Int) -> (length: Int, text: Int)? {
    var found: (length: Int, text: Int)?
    var node = Self.offset(units[0])
    for place in start..<text.count {
      node ^= Int(text[place])
      guard node < units.count else { break }
      let unit = units[node]
      guard unit & 0x8000_00ff == UInt32(text[place]) else { break }
      node ^= Self.offset(unit)
      if unit & 0x100 != 0 {
        guard node < units.count else { break }
        found = (place - start + 1, Int(units[node] & 0x7fff_ffff))
      }
    }
    return found
  }
}
