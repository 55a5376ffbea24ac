import Arrays
import Foundation
import Testing

@testable import Tokenizers

/// What is not known is refused by its name; what is damaged is refused and never believed.
@Suite struct TokenizerRefusalTests {
  struct Change: Sendable, CustomTestStringConvertible {
    let file: String
    let old: String
    let new: String
    let word: String
    var testDescription: String { "\(word): \(new.prefix(40))" }
  }

  static let changes = [
    Change(file: "gpt2", old: #""type":"BPE""#, new: #""type":"WordPiece""#, word: "WordPiece"),
    Change(file: "gpt2", old: #""dropout":null"#, new: #""dropout":0.1"#, word: "dropout"),
    Change(
      file: "gpt2", old: #""end_of_word_suffix":null"#, new: #""end_of_word_suffix":"</w>""#, word: "end_of_word_suffix"
    ),
    Change(file: "gpt2", old: #""normalizer":null"#, new: #""normalizer":{"type":"Lowercase"}"#, word: "Lowercase"),
    Change(file: "gpt2", old: #""truncation":null"#, new: #""truncation":{"max_length":5}"#, word: "truncation"),
    Change(file: "gpt2", old: #""single_word":false"#, new: #""single_word":true"#, word: "single_word"),
    Change(
      file: "gpt2", old: #""pre_tokenizer":{"type":"ByteLevel""#, new: #""pre_tokenizer":{"type":"Digits""#,
      word: "Digits"),
    Change(
      file: "gpt2", old: #""decoder":{"type":"ByteLevel""#, new: #""decoder":{"type":"WordPiece""#, word: "WordPiece"),
    Change(
      file: "gpt2", old: #""post_processor":null"#, new: #""post_processor":{"type":"BertProcessing"}"#,
      word: "BertProcessing"),
    Change(file: "gpt2", old: #""Z":"#, new: #""unheard-of":"#, word: "byte 90"),
    Change(file: "gpt2", old: #""Z":"#, new: #""Y":"#, word: "twice"),
    Change(file: "gpt2", old: #""model":{"#, new: #""modal":{"#, word: "model"),
    Change(file: "llama3", old: #"\\p{N}{1,3}"#, new: #"\\p{N}{1,4}"#, word: "expression"),
    Change(file: "llama3", old: #""Isolated""#, new: #""Removed""#, word: "Split"),
    Change(file: "llama", old: #""<0x41>":"#, new: #""<0x4_>":"#, word: "byte 65"),
    Change(
      file: "metaspace-first", old: #""prepend_scheme":"first""#, new: #""prepend_scheme":"last""#,
      word: "prepend_scheme"),
  ]

  private func refusal(_ bytes: [UInt8]) -> Refusal? {
    #expect(throws: Refusal.self) { try TokenizerFile(bytes, path: "given.json") }
  }

  @Test("What is not known is refused by name", arguments: changes)
  func refusesUnknown(_ change: Change) throws {
    let text = String(decoding: try TokenizerFixture.bytes("\(change.file).tokenizer.json"), as: UTF8.self)
    let place = try #require(text.range(of: change.old))
    let refusal = refusal(Array(text.replacingCharacters(in: place, with: change.new).utf8))
    #expect(refusal?.kind == .badInput && refusal?.sentence.contains("given.json") == true)
    #expect(refusal?.sentence.contains(change.word) == true, "\(refusal?.sentence ?? "")")
  }

  @Test(
    "A file cut anywhere is refused",
    arguments: ["gpt2.tokenizer.json", "llama.tokenizer.json"])
  func refusesCut(_ name: String) throws {
    let bytes = try TokenizerFixture.bytes(name)
    for length in stride(from: 0, to: bytes.count - 1, by: 97) { _ = refusal(Array(bytes[..<length])) }
  }

  @Test(
    "What is neither JSON nor a SentencePiece model is refused",
    arguments: ["", "hello", "\u{0}\u{0}", "[1]", "PK\u{3}"])
  func refusesOther(_ text: String) {
    #expect(refusal(Array(text.utf8))?.kind == .badInput)
  }

  @Test("A tokenizer that is not there is refused by its name")
  func refusesNothing() {
    let refusal = #expect(throws: Refusal.self) { try TokenizerFile.named("nowhere.json") }
    #expect(refusal?.kind == .badInput && refusal?.sentence.contains("'nowhere.json'") == true)
  }

  @Test("The name tells the kind, the size and the file, and is the same for equal bytes")
  func names() throws {
    let bytes = try TokenizerFixture.bytes("gpt2.tokenizer.json")
    let first = try TokenizerFile(bytes, path: "a").tokenizer, second = try TokenizerFile(bytes, path: "b").tokenizer
    #expect(first.name == second.name && first.name.hasPrefix("bpe-480-"))
    let other = try TokenizerFile(bytes + [10], path: "a").tokenizer
    #expect(other.name != first.name && other.checksum != first.checksum)
  }
}
