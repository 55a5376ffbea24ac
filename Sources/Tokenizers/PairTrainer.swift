import Arrays

/// Learns the merges of a byte-level BPE: again and again the commonest pair of neighbours becomes a piece.
///
/// Ties go to the pair whose pieces are older, the left one first, so that equal texts give equal tokenizers. A merge
/// updates the counts of the pairs around its places only, which every pair knows; the heap is mended when its first entry
/// proves out of date. Pairs met once are not learned: the vocabulary then stays smaller than asked for.
/// Numbers: the added token, the 256 bytes in ``ByteAlphabet/order``, then the pieces as they are learned.
package struct PairTrainer {
  package static let endOfText = "<|endoftext|>"
  /// The added token and the bytes.
  package static let smallest = 257

  package private(set) var pieces: [[UInt8]]
  package private(set) var merges: [(left: Int32, right: Int32)] = []
  private let target: Int

  private var symbols: [Int32] = []
  private var words: [(start: Int, count: Int, occurrences: Int)] = []
  private var pairs: [UInt64: Pair] = [:]
  private var heap: [Candidate] = []

  private struct Pair {
    var count = 0
    /// Words where it was seen, some more than once, some no longer.
    var places: [Int32] = []
  }

  private struct Candidate {
    let count: Int
    let pair: UInt64

    /// Whether it comes after the other.
    static func < (a: Candidate, b: Candidate) -> Bool { a.count != b.count ? a.count < b.count : a.pair > b.pair }
  }

  package init(_ counts: WordCounts, vocabulary: Int) throws {
    guard (Self.smallest...1 << 22).contains(vocabulary) else {
      throw Refusal.badInput(
        "a vocabulary of \(vocabulary) is not from \(Self.smallest) (the bytes and \(Self.endOfText)) to \(1 << 22)")
    }
    target = vocabulary
    pieces = [Array(Self.endOfText.utf8)] + ByteAlphabet.order.map { [$0] }
    var symbolOf = [Int32](repeating: 0, count: 256)
    for (place, byte) in ByteAlphabet.order.enumerated() { symbolOf[Int(byte)] = Int32(place + 1) }
    counts.forEach { word, occurrences in
      let start = symbols.count
      symbols += word.map { symbolOf[Int($0)] }
      words.append((start, word.count, occurrences))
    }
    for (number, word) in words.enumerated() {
      for place in word.start..<max(word.start, word.start + word.count - 1) {
        change(Self.key(symbols[place], symbols[place + 1]), by: word.occurrences, in: Int32(number))
      }
    }
    for (pair, value) in pairs { heap.append(Candidate(count: value.count, pair: pair)) }
    for parent in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(parent) }
  }

  /// Learns until the vocabulary is full or no pair occurs twice.
  package mutating func train(progress: (Int) throws -> Void) rethrows {
    var byBytes = Dictionary(uniqueKeysWithValues: pieces.enumerated().map { ($1, Int32($0)) })
    while pieces.count < target, let best = heap.first {
      let count = pairs[best.pair]?.count ?? 0
      if count != best.count {
        // Out of date: back to where it belongs.
        heap[0] = Candidate(count: count, pair: best.pair)
        if count < 2 { removeFirst() } else { sink(0) }
        continue
      }
      if count < 2 { break }
      removeFirst()
      let left = Int32(truncatingIfNeeded: best.pair >> 32), right = Int32(truncatingIfNeeded: best.pair)
      let bytes = pieces[Int(left)] + pieces[Int(right)]
      let whole = byBytes[bytes] ?? Int32(pieces.count)
      if byBytes[bytes] == nil {
        byBytes[bytes] = whole
        pieces.append(bytes)
      }
      merges.append((left, right))
      merge(left, right, into: whole)
      try progress(pieces.count)
    }
  }

  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  private mutating func change(_ pair: UInt64, by count: Int, in word: Int32) {
    pairs[pair, default: Pair()].count += count
    if count > 0 { pairs[pair]!.places.append(word) }
  }

  /// In every word where the pair stands, from left to right.
  private mutating func merge(_ left: Int32, _ right: Int32, into whole: Int32) {
    let pair = Self.key(left, right)
    let places = Set(pairs[pair]?.places ?? []).sorted()
    pairs[pair] = nil
    var grown = Set<UInt64>()
    for number in places {
      let word = words[Int(number)]
      let end = word.start + word.count
      var read = word.start
      var write = word.start
      while read < end {
        guard read + 1 < end, symbols[read] == left, symbols[read + 1] == right else {
          symbols[write] = symbols[read]
          (read, write) = (read + 1, write + 1)
          continue
        }
        if write > word.start {
          let before = symbols[write - 1]
          change(Self.key(before, left), by: -word.occurrences, in: number)
          change(Self.key(before, whole), by: word.occurrences, in: number)
          grown.insert(Self.key(before, whole))
        }
        if read + 2 < end {
          let after = symbols[read + 2]
          change(Self.key(right, after), by: -word.occurrences, in: number)
          change(Self.key(whole, after), by: word.occurrences, in: number)
          grown.insert(Self.key(whole, after))
        }
        symbols[write] = whole
        (read, write) = (read + 2, write + 1)
      }
      words[Int(number)].count = write - word.start
    }
    // What was taken from the merged pair itself, where it overlaps, is of no more interest.
    pairs[pair] = nil
    for pair in grown.sorted() {
      guard let count = pairs[pair]?.count, count > 0 else { continue }
      heap.append(Candidate(count: count, pair: pair))
      rise(heap.count - 1)
    }
  }

  // MARK: Heap

  private mutating func removeFirst() {
    let last = heap.removeLast()
    if heap.isEmpty { return }
    heap[0] = last
    sink(0)
  }

  private mutating func sink(_ start: Int) {
    var parent = start
    while 2 * parent + 1 < heap.count {
      var child = 2 * parent + 1
      if child + 1 < heap.count, heap[child] < heap[child + 1] { child += 1 }
      if !(heap[parent] < heap[child]) { break }
      heap.swapAt(parent, child)
      parent = child
    }
  }

  private mutating func rise(_ start: Int) {
    var child = start
    while child > 0, heap[(child - 1) / 2] < heap[child] {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }
}
