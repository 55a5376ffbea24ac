import Arrays
import Records

/// A tokenizer and the file it was read from: Hugging Face's `tokenizer.json` of the BPE kind, or SentencePiece's
/// `.model`.
///
/// Which of the two is told by the first byte that is not white space. The bytes are kept, so that a run directory and an
/// export hold the very same file.
package struct TokenizerFile: Sendable {
  package let tokenizer: any Tokenizer
  package let bytes: [UInt8]
  /// What the file is called in a model's directory.
  package let usualName: String

  package static let jsonName = "tokenizer.json"
  package static let modelName = "tokenizer.model"
  /// The largest file that is read.
  package static let limit = 1 << 26

  /// "bytes" is the tokenizer that needs no file; everything else is a path.
  /// - Returns: no file for bytes.
  package static func named(_ name: String) throws -> (tokenizer: any Tokenizer, file: TokenizerFile?) {
    if name == "bytes" { return (ByteTokenizer(), nil) }
    let file: OpenFile
    do {
      file = try OpenFile(reading: name)
    } catch let refusal as Refusal {
      throw Refusal(refusal.kind, "there is no tokenizer '\(name)': write 'bytes' or a file (\(refusal.sentence))")
    }
    let found = try TokenizerFile(file.contents(limit: limit), path: name)
    return (found.tokenizer, found)
  }

  package init(_ bytes: [UInt8], path: String) throws {
    self.bytes = bytes
    let first = bytes.first { ![0x20, 0x09, 0x0a, 0x0d].contains($0) }
    if first == UInt8(ascii: "{") {
      usualName = Self.jsonName
      tokenizer = try BPEFileReader(path: path).read(bytes)
    } else {
      usualName = Self.modelName
      tokenizer = try SentencePieceReader(path: path).read(bytes)
    }
  }

  static func checksum(_ bytes: [UInt8]) -> UInt32 { CRC32C.checksum(bytes) }

  static func text(_ checksum: UInt32) -> String { CRC32C.text(checksum) }
}
