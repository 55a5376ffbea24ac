import Arrays

/// Damages inputs: the n-th damage of a seed is the same on every machine.
struct Mutator {
  private var generator: SeededGenerator
  private let seeds: [[UInt8]]
  private let words: [[UInt8]]

  /// An input grows to this at most, or to twice the largest seed.
  private let longest: Int

  init(_ seeds: [[UInt8]], words: [String], number: UInt64) {
    generator = SeededGenerator(seed: number, "fuzz")
    self.seeds = seeds
    self.words = words.map { Array($0.utf8) }
    longest = max(4096, 2 * (seeds.map(\.count).max() ?? 0))
  }

  /// One to eight damages, few more often than many.
  mutating func input() -> [UInt8] {
    var bytes = seeds[generator.index(below: seeds.count)]
    var count = 1
    while count < 8, generator.index(below: 2) == 0 { count += 1 }
    for _ in 0..<count { damage(&bytes) }
    return bytes.count > longest ? Array(bytes[..<longest]) : bytes
  }

  private mutating func place(_ bytes: [UInt8]) -> Int { generator.index(below: bytes.count) }

  private mutating func range(_ bytes: [UInt8]) -> Range<Int> {
    let start = place(bytes)
    return start..<min(bytes.count, start + 1 + generator.index(below: 1 << (1 + generator.index(below: 8))))
  }

  private static let numbers: [Int64] = [
    0, 1, -1, 127, 128, 255, 256, 32767, 65535, 65536, 1 << 24, 1 << 30, 1 << 31 - 1, 1 << 31, 1 << 32, 1 << 53, .max,
    .min,
  ]
  private static let texts = [
    "0", "-1", "1e308", "9223372036854775808", "4294967296", "null", "true", "\"\"", "[]", "{}", "1.5",
  ]

  private mutating func damage(_ bytes: inout [UInt8]) {
    guard !bytes.isEmpty else {
      bytes = words.isEmpty ? [UInt8(truncatingIfNeeded: generator.next())] : words[generator.index(below: words.count)]
      return
    }
    switch generator.index(below: 12) {
    case 0: bytes[place(bytes)] ^= 1 << UInt8(generator.index(below: 8))
    case 1: bytes[place(bytes)] = UInt8(truncatingIfNeeded: generator.next())
    case 2: bytes.insert(UInt8(truncatingIfNeeded: generator.next()), at: place(bytes))
    case 3: bytes.removeSubrange(range(bytes))
    case 4: bytes.removeLast(bytes.count - place(bytes))
    case 5:
      let copy = Array(bytes[range(bytes)])
      bytes.insert(contentsOf: copy, at: place(bytes))
    case 6: overwriteNumber(&bytes)
    case 7: overwriteDigits(&bytes)
    case 8 where !words.isEmpty: bytes.insert(contentsOf: words[generator.index(below: words.count)], at: place(bytes))
    case 8, 9:
      let other = seeds[generator.index(below: seeds.count)]
      if !other.isEmpty { bytes.replaceSubrange(range(bytes), with: other[range(other)]) }
    case 10:
      let (first, second) = (range(bytes), range(bytes))
      let part = Array(bytes[first])
      bytes.replaceSubrange(second, with: part)
    default: bytes.replaceSubrange(range(bytes), with: Self.texts[generator.index(below: Self.texts.count)].utf8)
    }
  }

  /// A little-endian number of 1, 2, 4 or 8 bytes becomes one at an edge.
  private mutating func overwriteNumber(_ bytes: inout [UInt8]) {
    let value = Self.numbers[generator.index(below: Self.numbers.count)]
    let start = place(bytes)
    for offset in 0..<min(1 << generator.index(below: 4), bytes.count - start) {
      bytes[start + offset] = UInt8(truncatingIfNeeded: value >> Int64(8 * offset))
    }
  }

  /// A number in decimal becomes another one.
  private mutating func overwriteDigits(_ bytes: inout [UInt8]) {
    func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    let start = place(bytes)
    guard let first = bytes[start...].firstIndex(where: isDigit) else { return }
    let end = bytes[first...].firstIndex { !isDigit($0) } ?? bytes.count
    let value = Self.numbers[generator.index(below: Self.numbers.count)]
    bytes.replaceSubrange(first..<end, with: "\(value)".utf8)
  }
}
