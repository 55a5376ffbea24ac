/// Bytes to tokens and back: `decode(encode(b)) == b` for every byte string b.
///
/// Tokens are 0 ..< `vocabularySize`. A model's own vocabulary may be larger; tokens beyond the tokenizer's are refused
/// by ``decode(_:)``.
package protocol Tokenizer: Sendable {
  /// What `--tokenizer` and the records call it.
  var name: String { get }
  var vocabularySize: Int { get }
  func encode(_ bytes: [UInt8]) -> [Int32]
  func decode(_ tokens: [Int32]) throws -> [UInt8]
}
