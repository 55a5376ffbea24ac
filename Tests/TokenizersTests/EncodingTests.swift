import Arrays
import Foundation
import Testing

@testable import Tokenizers

/// Every kind of tokenizer against the library that defines it: Hugging Face's tokenizers, Google's sentencepiece.
@Suite struct EncodingTests {
  @Test("The fixtures are all there")
  func fixtures() {
    #expect(TokenizerFixture.all.count == 12)
    #expect(TokenizerFixture.all.allSatisfy { $0.tokens.count == $0.texts.count && $0.texts.count > 25 })
  }

  @Test("Tokens are the library's, for every text", arguments: TokenizerFixture.all)
  func encodes(_ fixture: TokenizerFixture) throws {
    let tokenizer = try fixture.tokenizer()
    for (text, tokens) in zip(fixture.texts, fixture.tokens) {
      let shown = String(decoding: text, as: UTF8.self).debugDescription
      #expect(tokenizer.encode(text) == tokens, "\(shown)")
    }
  }

  @Test("Decoded text is the library's, for every text", arguments: TokenizerFixture.all)
  func decodes(_ fixture: TokenizerFixture) throws {
    let tokenizer = try fixture.tokenizer()
    for (tokens, text) in zip(fixture.tokens, fixture.decoded) {
      #expect(Array(try tokenizer.decode(tokens)) == Array(text.utf8), "\(text.debugDescription)")
    }
  }

  @Test(
    "A byte-level tokenizer gives back any bytes, UTF-8 or not",
    arguments: TokenizerFixture.all.filter { ["gpt2.tokenizer.json", "llama3.tokenizer.json"].contains($0.name) })
  func anyBytes(_ fixture: TokenizerFixture) throws {
    let tokenizer = try fixture.tokenizer()
    var generator = SeededGenerator(seed: 7)
    for length in [1, 2, 3, 17, 64, 65, 500] {
      for _ in 0..<20 {
        let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next() >> 20) }
        #expect(try tokenizer.decode(tokenizer.encode(bytes)) == bytes)
      }
    }
  }

  @Test("A text cut where the tokenizer says has the tokens of the whole", arguments: TokenizerFixture.all)
  func cuts(_ fixture: TokenizerFixture) throws {
    let tokenizer = try fixture.tokenizer()
    let text = try TokenizerFixture.bytes("text.txt")
    for length in stride(from: 3, to: 700, by: 13) {
      let part = Array(text[..<length])
      guard let cut = tokenizer.cut(part), cut > 0 else { continue }
      let parts = tokenizer.encode(Array(part[..<cut])) + tokenizer.encode(Array(part[cut...]), continuing: true)
      #expect(parts == tokenizer.encode(part), "cut at \(cut) of \(length)")
    }
  }

  @Test("Some texts can be cut with every tokenizer", arguments: TokenizerFixture.all)
  func isCuttable(_ fixture: TokenizerFixture) throws {
    let text = Array("The miller and the river".utf8)
    #expect(try fixture.tokenizer().cut(text) == 18)
  }

  @Test("A token outside the vocabulary is refused by number and position", arguments: TokenizerFixture.all)
  func refusesTokens(_ fixture: TokenizerFixture) throws {
    let tokenizer = try fixture.tokenizer()
    for token in [Int32(tokenizer.vocabularySize), -1, .max, .min] {
      let refusal = #expect(throws: Refusal.self) { try tokenizer.decode([0, token]) }
      #expect(refusal?.kind == .badInput && refusal?.sentence.contains("token \(token) at position 1 ") == true)
    }
  }

  @Test("Special tokens at the ends are found where the file names them")
  func ends() throws {
    let named = Dictionary(uniqueKeysWithValues: try TokenizerFixture.all.map { ($0.name, try $0.tokenizer()) })
    #expect(named["llama.tokenizer.json"]?.beginning == 1 && named["llama.tokenizer.json"]?.end == 2)
    #expect(named["llama3.tokenizer.json"]?.beginning == 0 && named["gpt2.tokenizer.json"]?.beginning == nil)
    #expect(named["mistral.model"]?.beginning == 1 && named["mistral.model"]?.end == 2)
    #expect(named["gpt2.tokenizer.json"]?.end == 0)
  }
}
