/// Bytes to tokens and back.
///
/// Tokens are 0 ..< `vocabularySize`. A model's own vocabulary may be larger; tokens beyond the tokenizer's are refused
/// by ``decode(_:)``. What a tokenizer's normaliser changes (SentencePiece's blanks, NFC) does not come back; without
/// one, `decode(encode(b)) == b` for every byte string b.
package protocol Tokenizer: Sendable {
  /// What the records call it: the kind, the size and the checksum, "bpe-32000-0a1b2c3d"; "bytes" for bytes.
  var name: String { get }
  var vocabularySize: Int { get }
  /// Of everything that decides what text becomes which tokens, on every machine and in every version the same.
  var checksum: UInt32 { get }
  /// Tokens that a text of its own begins with where a model expects them, "beginning of sequence"; nil for none.
  var beginning: Int32? { get }
  /// The token after which a generated text is over; nil for none.
  var end: Int32? { get }

  /// - Parameter continuing: whether the text goes on from one encoded before, so that nothing that marks the beginning
  ///   of a text is put before it.
  func encode(_ bytes: [UInt8], continuing: Bool) -> [Int32]
  /// ``encode(_:continuing:)`` for many texts, one at a time: it remembers the words of those before.
  func encoder() -> (_ bytes: [UInt8], _ continuing: Bool) -> [Int32]
  func decode(_ tokens: [Int32]) throws -> [UInt8]
  /// The last place of `text` at which it can be cut so that both parts, encoded one after the other, give the tokens of
  /// the whole; nil where there is none.
  func cut(_ text: [UInt8]) -> Int?
}

extension Tokenizer {
  package var beginning: Int32? { nil }
  package var end: Int32? { nil }
  package func encode(_ bytes: [UInt8]) -> [Int32] { encode(bytes, continuing: false) }
  package func encoder() -> (_ bytes: [UInt8], _ continuing: Bool) -> [Int32] { { encode($0, continuing: $1) } }
}
