/// Applies merges to the symbols of one word until none applies: always the pair of least rank, the leftmost among equals.
///
/// Short words are scanned, O(n^2) on a few cache lines; long ones, which no file promises not to hold, go through a heap
/// in O(n log n).
struct PairMerger {
  private let table: MergeTable
  /// Of the pairs (i, i + 1) while a short word is scanned.
  private var ranks: [Int32] = []
  private var heap: [UInt64] = []
  private var previous: [Int32] = []
  private var next: [Int32] = []

  static let longestScanned = 48
  private static let never = Int32.max

  init(_ table: MergeTable) { self.table = table }

  /// In place.
  mutating func merge(_ symbols: inout [Int32]) {
    if symbols.count < 2 { return }
    if symbols.count <= Self.longestScanned { scan(&symbols) } else { drain(&symbols) }
  }

  private mutating func scan(_ symbols: inout [Int32]) {
    let table = table
    func rank(_ symbols: UnsafeMutableBufferPointer<Int32>, _ at: Int) -> Int32 {
      table.merge(symbols[at], symbols[at + 1])?.rank ?? Self.never
    }
    var count = symbols.count
    ranks.removeAll(keepingCapacity: true)
    ranks.append(contentsOf: repeatElement(Self.never, count: count))
    symbols.withUnsafeMutableBufferPointer { symbols in
      ranks.withUnsafeMutableBufferPointer { ranks in
        for i in 0..<count - 1 { ranks[i] = rank(symbols, i) }
        while count > 1 {
          var best = 0
          for i in 1..<count - 1 where ranks[i] < ranks[best] { best = i }
          if ranks[best] == Self.never { break }
          symbols[best] = table.merge(symbols[best], symbols[best + 1])!.symbol
          count -= 1
          for i in best + 1..<max(best + 1, count) {
            symbols[i] = symbols[i + 1]
            ranks[i] = ranks[i + 1]
          }
          if best > 0 { ranks[best - 1] = rank(symbols, best - 1) }
          ranks[best] = best + 1 < count ? rank(symbols, best) : Self.never
        }
      }
    }
    symbols.removeLast(symbols.count - count)
  }

  /// Candidates (rank, position) in a heap; one that no longer describes its pair is dropped when it comes up.
  private mutating func drain(_ symbols: inout [Int32]) {
    let count = Int32(symbols.count)
    previous = (0..<count).map { $0 - 1 }
    next = (0..<count).map { $0 + 1 < count ? $0 + 1 : -1 }
    heap.removeAll(keepingCapacity: true)
    for position in 0..<count - 1 { offer(symbols, position) }
    while let (rank, position) = takeLeast() {
      let place = Int(position)
      let right = next[place]
      guard right >= 0, let merge = table.merge(symbols[place], symbols[Int(right)]), merge.rank == rank else {
        continue
      }
      symbols[place] = merge.symbol
      symbols[Int(right)] = PairMerger.gone
      next[place] = next[Int(right)]
      if next[place] >= 0 { previous[Int(next[place])] = position }
      next[Int(right)] = -1
      offer(symbols, position)
      if previous[place] >= 0 { offer(symbols, previous[place]) }
    }
    symbols.removeAll { $0 == PairMerger.gone }
  }

  /// A symbol that pairs with nothing, and one that was merged away.
  static let unknown: Int32 = -1
  private static let gone: Int32 = .min

  private mutating func offer(_ symbols: [Int32], _ position: Int32) {
    let right = next[Int(position)]
    guard right >= 0, let merge = table.merge(symbols[Int(position)], symbols[Int(right)]) else { return }
    heap.append(UInt64(UInt32(merge.rank)) << 32 | UInt64(UInt32(position)))
    var child = heap.count - 1
    while child > 0, heap[child] < heap[(child - 1) / 2] {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  private mutating func takeLeast() -> (rank: Int32, position: Int32)? {
    guard let least = heap.first else { return nil }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      var parent = 0
      while 2 * parent + 1 < heap.count {
        var child = 2 * parent + 1
        if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
        if heap[parent] <= heap[child] { break }
        heap.swapAt(parent, child)
        parent = child
      }
    }
    return (Int32(truncatingIfNeeded: least >> 32), Int32(truncatingIfNeeded: least & 0xffff_ffff))
  }
}
