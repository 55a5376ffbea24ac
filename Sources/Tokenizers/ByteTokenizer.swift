import Arrays

/// token = byte: 256 tokens, no table, any text.
package struct ByteTokenizer: Tokenizer {
  package var name: String { "bytes" }
  package var vocabularySize: Int { 256 }
  package var checksum: UInt32 { 0 }

  package init() {}

  package func encode(_ bytes: [UInt8], continuing: Bool) -> [Int32] { bytes.map(Int32.init) }

  /// Refused: a token outside 0 ... 255, with its position.
  package func decode(_ tokens: [Int32]) throws -> [UInt8] {
    var bytes = [UInt8]()
    bytes.reserveCapacity(tokens.count)
    for (position, token) in tokens.enumerated() {
      guard let byte = UInt8(exactly: token) else {
        throw Refusal.badInput(
          "token \(token) at position \(position) is not a byte: the tokenizer \"\(name)\" knows 0 to 255 only")
      }
      bytes.append(byte)
    }
    return bytes
  }

  package func cut(_ text: [UInt8]) -> Int? { text.count }
}
