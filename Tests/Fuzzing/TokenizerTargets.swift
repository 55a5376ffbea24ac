import Arrays
import Tokenizers

/// Parsers of tokenizers; what one accepts must encode and decode any text.
extension FuzzTarget {
  static let tokenizers: [FuzzTarget] = [
    FuzzTarget(
      "tokenizer.json", seeds: [byteLevel, characters],
      words: [
        "\"type\":\"Metaspace\"", "\"ignore_merges\":true", "\"byte_fallback\":true", "\"normalized\":true",
        "\"merges\":[", "\"id\":",
        "{\"type\":\"NFC\"}", "\"\u{0120}a\"", "\"pretokenizers\":[", "null",
      ], use),
    FuzzTarget("sentencepiece", seeds: [model(kind: 2), model(kind: 1)], use),
  ]

  private static let sample = Array("The mill's  daughter\n\tnaïve \u{2581}x 12 <s> 漢𝄞".utf8) + [0xff, 0x20]

  private static func use(_ bytes: [UInt8]) throws {
    let tokenizer = try TokenizerFile(bytes, path: "input").tokenizer
    for continuing in [false, true] {
      let tokens = tokenizer.encode(sample, continuing: continuing)
      precondition(
        tokens.allSatisfy { (0..<tokenizer.vocabularySize).contains(Int($0)) }, "a token outside the vocabulary")
      _ = try tokenizer.decode(tokens)
    }
    if let cut = tokenizer.cut(sample) { precondition((0...sample.count).contains(cut)) }
  }

  /// The smallest byte-level file: 256 bytes and a few merges.
  private static let byteLevel: [UInt8] = {
    var counts = WordCounts()
    counts.add(Array("the mill the miller the daughter".utf8))
    guard var trainer = try? PairTrainer(counts, vocabulary: 262) else { return [] }
    trainer.train { _ in }
    return BPEFileWriter.file(trainer)
  }()

  private static let characters = Array(
    """
    {"added_tokens":[{"id":1,"content":"<s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
    "normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},
    "pre_tokenizer":null,"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A",
    "type_id":0}}],"pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]}}},"decoder":{"type":"Sequence","decoders":[{"type":
    "Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
    "model":{"type":"BPE","dropout":null,"unk_token":"<unk>","continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":true,
    "byte_fallback":false,"ignore_merges":false,"vocab":{"<unk>":0,"<s>":1,"▁":2,"t":3,"h":4,"e":5,"l":6,"▁t":7,"he":8,"▁the":9,"ll":10},
    "merges":["▁ t",["h","e"],"▁t he","l l"]}}
    """.utf8)

  // MARK: SentencePiece

  private static func varint(_ value: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = value
    repeat {
      bytes.append(UInt8(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
      rest >>= 7
    } while rest > 0
    return bytes
  }

  private static func field(_ number: UInt64, _ bytes: [UInt8]) -> [UInt8] {
    varint(number << 3 | 2) + varint(UInt64(bytes.count)) + bytes
  }

  private static func field(_ number: UInt64, _ value: UInt64) -> [UInt8] { varint(number << 3) + varint(value) }

  private static func piece(_ text: String, _ score: Float, _ kind: UInt64) -> [UInt8] {
    let bits = score.bitPattern
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * UInt32($0))) }
    return field(1, field(1, Array(text.utf8)) + [0x15] + bytes + field(3, kind))
  }

  /// Some pieces of every type, and a table of normalisations that is a trie of one node.
  private static func model(kind: UInt64) -> [UInt8] {
    var bytes = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece("<tool>", 0, 4)
    for (rank, text) in ["▁t", "he", "▁the", "ll", "▁", "t", "h", "e", "l", "a", "ï"].enumerated() {
      bytes += piece(text, -Float(rank), 1)
    }
    bytes += field(2, field(3, kind))
    // Units: the root's children lie at 128 ^ byte; 'A' has a value below it, at 64 further on.
    var units = [UInt32](repeating: 0, count: 512)
    units[0] = 128 << 10
    units[128 ^ 0x41] = 64 << 10 | 0x100 | 0x41
    units[128 ^ 0x41 ^ 64] = 0x8000_0000
    let trie = units.flatMap { unit in (0..<4).map { UInt8(truncatingIfNeeded: unit >> (8 * UInt32($0))) } }
    let size = (0..<4).map { UInt8(truncatingIfNeeded: trie.count >> (8 * $0)) }
    bytes += field(3, field(2, size + trie + Array("a\0".utf8)) + field(3, 1) + field(4, 1) + field(5, 1))
    return bytes
  }
}
