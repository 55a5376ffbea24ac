/// What became of the words met so far: most words of a text are repetitions.
///
/// Words and tokens lie in two growing arenas; a full cache starts anew, so that its memory has a bound.
struct WordCache {
  private struct Entry {
    var hash: UInt64 = 0
    var word = 0
    var wordCount: Int32 = 0
    var tokenCount: Int32 = -1
    var tokens = 0
  }

  private var entries: [Entry]
  private var count = 0
  private var words: [UInt8] = []
  private var tokens: [Int32] = []

  static let longestWord = 64
  private static let largest = 1 << 18

  init() { entries = [Entry](repeating: Entry(), count: 1 << 10) }

  /// FNV-1a over eight bytes at a time, finished by a multiplication.
  static func hash(_ word: UnsafeBufferPointer<UInt8>) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(word.count)
    let raw = UnsafeRawBufferPointer(word)
    var place = 0
    while place + 8 <= raw.count {
      hash = (hash ^ raw.loadUnaligned(fromByteOffset: place, as: UInt64.self)) &* 0x9e37_79b9_7f4a_7c15
      hash ^= hash >> 29
      place += 8
    }
    while place < raw.count {
      hash = (hash ^ UInt64(raw[place])) &* 0x0000_0100_0000_01b3
      place += 1
    }
    hash = (hash ^ hash >> 32) &* 0x9e37_79b9_7f4a_7c15
    return hash ^ hash >> 29
  }

  private func slot(_ word: UnsafeBufferPointer<UInt8>, _ hash: UInt64) -> Int {
    let mask = entries.count - 1
    var slot = Int(truncatingIfNeeded: hash) & mask
    while true {
      let entry = entries[slot]
      if entry.tokenCount < 0 { return slot }
      if entry.hash == hash, Int(entry.wordCount) == word.count, matches(entry.word, word) { return slot }
      slot = (slot + 1) & mask
    }
  }

  private func matches(_ start: Int, _ word: UnsafeBufferPointer<UInt8>) -> Bool {
    words.withUnsafeBufferPointer { words in
      for offset in 0..<word.count where words[start + offset] != word[offset] { return false }
      return true
    }
  }

  /// Appends the word's tokens to `output`; false where the word is new.
  func append(_ word: UnsafeBufferPointer<UInt8>, hash: UInt64, to output: inout [Int32]) -> Bool {
    let entry = entries[slot(word, hash)]
    if entry.tokenCount < 0 { return false }
    output.append(contentsOf: tokens[entry.tokens..<entry.tokens + Int(entry.tokenCount)])
    return true
  }

  mutating func insert(_ word: UnsafeBufferPointer<UInt8>, hash: UInt64, _ result: ArraySlice<Int32>) {
    if 2 * count >= entries.count { grow() }
    let slot = slot(word, hash)
    entries[slot] = Entry(
      hash: hash, word: words.count, wordCount: Int32(word.count), tokenCount: Int32(result.count),
      tokens: tokens.count)
    words.append(contentsOf: word)
    tokens.append(contentsOf: result)
    count += 1
  }

  private mutating func grow() {
    if entries.count >= Self.largest {
      self = WordCache()
      return
    }
    let old = entries
    entries = [Entry](repeating: Entry(), count: 2 * old.count)
    let mask = entries.count - 1
    for entry in old where entry.tokenCount >= 0 {
      var slot = Int(truncatingIfNeeded: entry.hash) & mask
      while entries[slot].tokenCount >= 0 { slot = (slot + 1) & mask }
      entries[slot] = entry
    }
  }
}
