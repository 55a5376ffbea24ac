/// How often each word of a text occurs: what the training of a tokenizer sees of it.
///
/// Words are kept in the order of their first occurrence. The text may come in parts that are cut between words.
package struct WordCounts {
  private struct Entry {
    var hash: UInt64 = 0
    var start = 0
    var length = 0
    var count = 0
  }

  private var slots: [Int32]
  private var entries: [Entry] = []
  private var arena: [UInt8] = []
  let splitter: WordSplitter

  package init() { self.init(.gpt2) }

  init(_ splitter: WordSplitter) {
    self.splitter = splitter
    slots = [Int32](repeating: -1, count: 1 << 16)
  }

  package var count: Int { entries.count }

  package mutating func add(_ text: [UInt8]) {
    text.withUnsafeBufferPointer { text in
      var start = 0
      while start < text.count {
        let end = splitter.end(text, from: start)
        add(word: UnsafeBufferPointer(rebasing: text[start..<end]))
        start = end
      }
    }
  }

  private mutating func add(word: UnsafeBufferPointer<UInt8>) {
    let hash = WordCache.hash(word)
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: hash) & mask
    while slots[slot] >= 0 {
      let number = Int(slots[slot])
      let entry = entries[number]
      if entry.hash == hash, entry.length == word.count, matches(entry.start, word) {
        entries[number].count += 1
        return
      }
      slot = (slot + 1) & mask
    }
    slots[slot] = Int32(entries.count)
    entries.append(Entry(hash: hash, start: arena.count, length: word.count, count: 1))
    arena.append(contentsOf: word)
    if 2 * entries.count > slots.count { grow() }
  }

  private func matches(_ start: Int, _ word: UnsafeBufferPointer<UInt8>) -> Bool {
    arena.withUnsafeBufferPointer { arena in
      for offset in 0..<word.count where arena[start + offset] != word[offset] { return false }
      return true
    }
  }

  private mutating func grow() {
    slots = [Int32](repeating: -1, count: 2 * slots.count)
    let mask = slots.count - 1
    for (number, entry) in entries.enumerated() {
      var slot = Int(truncatingIfNeeded: entry.hash) & mask
      while slots[slot] >= 0 { slot = (slot + 1) & mask }
      slots[slot] = Int32(number)
    }
  }

  /// Calls `body` for every word, in the order of their first occurrence.
  func forEach(_ body: (ArraySlice<UInt8>, Int) -> Void) {
    for entry in entries { body(arena[entry.start..<entry.start + entry.length], entry.count) }
  }
}
