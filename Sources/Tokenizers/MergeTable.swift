/// Which neighbouring symbols become one, and how soon: (left, right) -> (rank, merged symbol).
///
/// Open addressing in one flat table, at most half full; a lookup is a multiplication and, most often, one cache line.
struct MergeTable: Sendable {
  struct Merge {
    /// Least first.
    let rank: Int32
    let symbol: Int32
  }

  private var keys: [UInt64]
  private var merges: [Merge]
  private var mask: Int
  private(set) var count = 0

  /// No pair: symbols are below 2^31.
  private static let empty = UInt64.max

  init(capacity: Int) {
    var size = 16
    while size < 2 * capacity { size *= 2 }
    keys = [UInt64](repeating: Self.empty, count: size)
    merges = [Merge](repeating: Merge(rank: 0, symbol: 0), count: size)
    mask = size - 1
  }

  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  @inline(__always)
  private func slot(of key: UInt64) -> Int {
    var slot = Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 32) & mask
    return keys.withUnsafeBufferPointer { keys in
      while keys[slot] != key && keys[slot] != Self.empty { slot = (slot &+ 1) & mask }
      return slot
    }
  }

  /// Nil where the pair stays apart; a negative symbol pairs with nothing.
  @inline(__always)
  func merge(_ left: Int32, _ right: Int32) -> Merge? {
    if left < 0 || right < 0 { return nil }
    let key = Self.key(left, right)
    let slot = slot(of: key)
    return keys.withUnsafeBufferPointer { $0[slot] } == key ? merges.withUnsafeBufferPointer { $0[slot] } : nil
  }

  /// False where the pair was there: the merge of least rank stays.
  @discardableResult
  mutating func insert(_ left: Int32, _ right: Int32, rank: Int32, symbol: Int32) -> Bool {
    precondition(left >= 0 && right >= 0 && 2 * count < keys.count)
    let key = Self.key(left, right)
    let slot = slot(of: key)
    if keys[slot] == key {
      if merges[slot].rank > rank { merges[slot] = Merge(rank: rank, symbol: symbol) }
      return false
    }
    keys[slot] = key
    merges[slot] = Merge(rank: rank, symbol: symbol)
    count += 1
    return true
  }
}
