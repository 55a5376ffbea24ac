import Arrays
import Testing

@testable import Tokenizers

@Suite struct MergingTests {
  /// Random merges over a few symbols, so that everything overlaps.
  private func table(_ generator: inout SeededGenerator, sharedRanks: Bool) -> MergeTable {
    var table = MergeTable(capacity: 40)
    for rank in 0..<40 {
      let symbol = Int32(4 + rank)
      table.insert(
        Int32(generator.index(below: 4 + rank)), Int32(generator.index(below: 4 + rank)),
        rank: Int32(sharedRanks ? rank / 3 : rank), symbol: symbol)
    }
    return table
  }

  /// The definition: the least rank, the leftmost, one merge at a time.
  private func merged(_ symbols: [Int32], _ table: MergeTable) -> [Int32] {
    var symbols = symbols
    while true {
      let candidates = symbols.indices.dropLast().compactMap { place in
        table.merge(symbols[place], symbols[place + 1]).map { (rank: $0.rank, place: place, symbol: $0.symbol) }
      }
      guard let best = candidates.min(by: { ($0.rank, $0.place) < ($1.rank, $1.place) }) else { return symbols }
      symbols.replaceSubrange(best.place...best.place + 1, with: [best.symbol])
    }
  }

  @Test("Short and long words alike are merged as defined", arguments: [true, false])
  func merging(_ sharedRanks: Bool) {
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<30 {
      let table = table(&generator, sharedRanks: sharedRanks)
      var merger = PairMerger(table)
      for length in [0, 1, 2, 3, 10, PairMerger.longestScanned, PairMerger.longestScanned + 1, 200] {
        let symbols = (0..<length).map { _ in
          Int32(generator.index(below: 5)) - (generator.index(below: 9) == 0 ? 5 : 0)
        }
        .map { $0 < 0 ? PairMerger.unknown : $0 }
        var result = symbols
        merger.merge(&result)
        #expect(result == merged(symbols, table))
      }
    }
  }

  @Test("The expressions' words are a partition of any bytes", arguments: WordSplitter.allCases)
  func words(_ splitter: WordSplitter) {
    var generator = SeededGenerator(seed: 5)
    let alphabet = Array("aZ1 \n\t'!é漢\u{301}½\r\u{2028}".utf8) + [0x80, 0xff, 0xe2, 0xf0]
    for _ in 0..<300 {
      let text = (0..<40).map { _ in alphabet[generator.index(below: alphabet.count)] }
      text.withUnsafeBufferPointer { text in
        var start = 0
        while start < text.count {
          let end = splitter.end(text, from: start)
          #expect(end > start && end <= text.count)
          if end <= start { break }
          start = end
        }
      }
    }
  }
}
