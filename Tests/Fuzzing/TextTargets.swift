import Arrays
import Foundation
import Tokenizers
import Training

/// Parsers of texts, packed texts and tokens.
extension FuzzTarget {
  static let texts: [FuzzTarget] = [text, jsonLines, gzip, zstd, shards]

  private static func decoded(_ bytes: [UInt8]) throws -> [UInt8] {
    var decoder = TextDecoder()
    var text = bytes
    do {
      let kept = try text.withUnsafeMutableBytes { bytes throws(TextDecoder.Fault) in try decoder.decode(bytes) }
      try decoder.finish()
      return Array(text[..<kept])
    } catch {
      throw Refusal.badInput("\(error)")
    }
  }

  static let text = FuzzTarget(
    "text", seeds: [Array("\u{feff}naïve €\r\ntext 𝄞\rend".utf8)], words: ["\r", "\r\n", "\u{feff}", "€"]
  ) {
    bytes in
    var mender = TextMender()
    let mended = bytes.withUnsafeBytes { mender.mend($0) } + mender.finish()
    precondition(String(validating: mended, as: UTF8.self) != nil, "mending left what is not UTF-8")
    let text = try decoded(bytes)
    precondition(
      String(validating: text, as: UTF8.self) != nil && mender.replaced == 0, "decoding kept what is not UTF-8")
  }

  static let jsonLines = FuzzTarget(
    "jsonl",
    seeds: [Array("{\"text\":\"one\\r\\ntwo\"}\n{\"id\":1,\"text\":\"caf\\u00e9\"}\n\n{\"text\":\"\"}\n".utf8)],
    words: ["\"text\":", "\n", "\\u0000", "{", "}"]
  ) { bytes in
    var lines = DocumentLines(field: "text", quoted: "input")
    var total = 0
    try bytes.withUnsafeBytes { bytes in
      let half = bytes.count / 2
      try lines.take(UnsafeRawBufferPointer(rebasing: bytes[..<half])) { total += $0.count }
      try lines.take(UnsafeRawBufferPointer(rebasing: bytes[half...])) { total += $0.count }
      try lines.finish { total += $0.count }
    }
    precondition(total <= bytes.count + lines.documents, "more text came out than went in")
  }

  // MARK: Packed

  private static func unpacked(_ bytes: [UInt8]) throws {
    let source = try ByteSources.source(bytes, quoted: "input")
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 12, alignment: 16)
    defer { buffer.deallocate() }
    // A small file may stand for a large text; a reader stops where it likes.
    for _ in 0..<256 where try source.read(into: buffer) < buffer.count { return }
  }

  private static func base64(_ text: String) -> [UInt8] { Data(base64Encoded: text).map { Array($0) } ?? [] }

  /// Two members; the text of the tests.
  static let gzip = FuzzTarget(
    "gzip",
    seeds: [
      base64(
        "H4sIAAAAAAACA3u/e39BYnJ2aopCXuLh9WWpCiWpFSW8XMWpyfl5KQo5mXmpAALJvgYiAAAAH4sIAAAAAAACA1NIzEtRSFQoTk3OBzJyU3OTUou4AHfJgmEVAAAA"
      )
    ]
  ) { try unpacked($0) }

  /// Two frames.
  static let zstd = FuzzTarget(
    "zstd",
    seeds: [
      base64(
        "KLUv/QRYEQEA77u/cGFja2VkIG5hw692ZSB0ZXh0DQpzZWNvbmQgbGluZZ7D/fMotS/9BFihAAAgYW5kIGEgc2Vjb25kIGZyYW1lCtIkoJU=")
    ]
  ) { try unpacked($0) }

  // MARK: Tokens

  private static func shard(_ magic: UInt32, _ version: UInt32, _ tokens: [UInt8], width: Int) -> [UInt8] {
    let header = [magic, version, UInt32(tokens.count / width)] + [UInt32](repeating: 0, count: 253)
    return header.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } } + tokens
  }

  static let shards = FuzzTarget(
    "shards",
    seeds: [
      shard(20_240_520, 1, [1, 0, 2, 0, 255, 255, 4, 1], width: 2),
      shard(20_240_801, 7, [1, 0, 0, 0, 2, 0, 2, 0, 255, 255, 0, 0], width: 4), [1, 0, 2, 0, 3, 0],
    ]
  ) { bytes in
    let shard = try TokenShard(ByteStore(bytes), path: "input")
    let stream = try TokenStream([shard])
    let windows = try stream.windows(
      at: [0, stream.count - 2].filter { $0 >= 0 && $0 + 2 <= stream.count }, sequence: 1)
    precondition(windows.inputs.allSatisfy { $0 >= 0 && $0 <= stream.largest })
  }
}
