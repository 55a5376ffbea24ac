import Arrays
import Foundation
import Testing
import Training

@Suite("Token stream")
struct TokenStreamTests {
  @Test("targets are the inputs one token later, window by window")
  func targetsFollowInputs() throws {
    let stream = TokenStream((0..<50).map { UInt8($0 * 5) })
    let (inputs, targets) = try stream.windows(at: [0, 17, 45], sequence: 4)
    #expect(inputs == [0, 5, 10, 15, 85, 90, 95, 100, 225, 230, 235, 240])
    #expect(targets == [5, 10, 15, 20, 90, 95, 100, 105, 230, 235, 240, 245])
  }

  @Test("a store gives back what was written, in memory and in its nameless file", arguments: [0, 100, 1 << 22])
  func stores(_ memoryLimit: Int) throws {
    var generator = SeededGenerator(seed: 1)
    let bytes = (0..<2_500_000).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    var writer = ByteStoreWriter(memoryLimit: memoryLimit)
    for start in stride(from: 0, to: bytes.count, by: 77_777) {
      try writer.append(Array(bytes[start..<min(start + 77_777, bytes.count)]))
    }
    let store = try writer.finish()
    #expect(store.count == bytes.count)
    for range in [0..<0, 0..<1, 77_770..<77_790, 2_499_999..<2_500_000, 0..<2_500_000] {
      #expect(try store.bytes(range) == Array(bytes[range]))
    }
    var joined: [UInt8] = []
    try store.forEachPiece(3..<2_400_003) { joined.append(contentsOf: $0) }
    #expect(joined == Array(bytes[3..<2_400_003]))
  }
}

@Suite("Token shards")
struct TokenShardTests {
  /// As llm.c's own script lays a file out.
  private func file(magic: Int32, version: Int32, count: Int32, _ body: [UInt8]) -> [UInt8] {
    var header = [Int32](repeating: 0, count: 256)
    (header[0], header[1], header[2]) = (magic, version, count)
    return header.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } } + body
  }

  private func bytes(_ tokens: [Int], width: Int) -> [UInt8] {
    tokens.flatMap { token in (0..<width).map { UInt8(truncatingIfNeeded: token >> (8 * $0)) } }
  }

  private func shard(_ bytes: [UInt8]) throws -> TokenShard { try TokenShard(ByteStore(bytes), path: "given") }

  @Test("both formats of llm.c and nanoGPT's are read, and rows go across files of different widths")
  func reads() throws {
    let small = [1, 50256, 65535, 0, 7], large = [100_000, 3, 128_255], plain = [9, 8, 4660]
    let shards = [
      try shard(file(magic: 20_240_520, version: 1, count: 5, bytes(small, width: 2))),
      try shard(file(magic: 20_240_801, version: 7, count: 3, bytes(large, width: 4))),
      try shard(bytes(plain, width: 2)),
    ]
    let all = (small + large + plain).map(Int32.init)
    let stream = try TokenStream(shards)
    #expect(stream.count == 11 && stream.largest == 128_255)
    for start in 0...10 { for end in start...11 { #expect(try stream.tokens(start..<end) == Array(all[start..<end])) } }
    #expect(try TokenStream(shards, 2..<9).tokens(0..<7) == Array(all[2..<9]))
    #expect(stream.frequencies[7] == 1 && stream.frequencies.reduce(0, +) == 11)
  }

  @Test("what is written is llm.c's layout byte for byte, and is read back", arguments: [65535, 65536])
  func writes(_ largest: Int) throws {
    let folder = try TemporaryFolder()
    let tokens = [3, 1, 4, largest, 5]
    let url = URL(fileURLWithPath: folder["shard.bin"])
    let source = try TokenStream([shard(file(magic: 20_240_801, version: 7, count: 5, bytes(tokens, width: 4)))])
    try TokenShard.write(source, 1..<5, to: url)
    let width = largest < 65536 ? 2 : 4
    let expected =
      width == 2
      ? file(magic: 20_240_520, version: 1, count: 4, bytes(Array(tokens[1...]), width: 2))
      : file(magic: 20_240_801, version: 7, count: 4, bytes(Array(tokens[1...]), width: 4))
    #expect(Array(try Data(contentsOf: url)) == expected)
    let read = try #require(try TokenShard.open([url.path]))
    #expect(try TokenStream(read).tokens(0..<4) == tokens[1...].map(Int32.init))
  }

  @Test("headers that lie, odd lengths, nothing, and tokens beyond any vocabulary are refused")
  func refusals() throws {
    let body = bytes([1, 2, 3], width: 2)
    let files = [
      file(magic: 20_240_520, version: 2, count: 3, body), file(magic: 20_240_520, version: 1, count: 4, body),
      file(magic: 20_240_520, version: 1, count: 2, body), file(magic: 20_240_520, version: 1, count: 0, []),
      file(magic: 20_240_520, version: 1, count: -1, body), file(magic: 20_240_801, version: 7, count: 3, body),
      Array(file(magic: 20_240_520, version: 1, count: 3, body).prefix(500)), [], [1, 2, 3],
    ]
    for bytes in files { #expect((#expect(throws: Refusal.self) { try shard(bytes) })?.kind == .badInput) }
    let wild = try shard(file(magic: 20_240_801, version: 7, count: 1, bytes([1 << 31], width: 4)))
    #expect((#expect(throws: Refusal.self) { try TokenStream([wild]) })?.sentence.contains("2147483648") == true)
  }

  @Test("a corpus of shards holds out the end, or takes validation shards, and never mixes tokens with text")
  func corpus() throws {
    let folder = try TemporaryFolder()
    let tokens = (0..<2000).map { $0 * 7 % 1009 }
    let one = try folder.write(
      "d/a.bin", file(magic: 20_240_520, version: 1, count: 1500, bytes(Array(tokens[..<1500]), width: 2)))
    let two = try folder.write("d/b.bin", bytes(Array(tokens[1500...]), width: 2))
    let whole = try Corpus.files(data: [folder["d"]], sequence: 16)
    #expect(whole.training.count == 1900 && whole.validation.count == 100 && !whole.isText)
    let parts = try whole.training.tokens(0..<1900) + whole.validation.tokens(0..<100)
    #expect(parts == tokens.map(Int32.init) && whole.largestToken == 1008)
    let split = try Corpus.files(data: [one], validation: [two], sequence: 16)
    #expect(split.training.count == 1500 && split.validation.count == 500)
    let text = try folder.write("text", String(repeating: "a line\n", count: 90))
    for (data, validation) in [([one, text], []), ([one], [text]), ([text], [one])] as [([String], [String])] {
      let refusal = #expect(throws: Refusal.self) { try Corpus.files(data: data, validation: validation, sequence: 4) }
      #expect(refusal?.kind == .badInput)
    }
    #expect(throws: Refusal.self) { try Corpus.files(data: [one], sequence: 750) }
  }
}
