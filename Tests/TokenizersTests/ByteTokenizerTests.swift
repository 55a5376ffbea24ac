import Arrays
import Testing
import Tokenizers

@Suite("Byte tokenizer")
struct ByteTokenizerTests {
  private let tokenizer: any Tokenizer = ByteTokenizer()

  @Test("decode undoes encode for every byte, and a token is its byte's value")
  func roundTrip() throws {
    let bytes = (0...255).map { UInt8($0) }
    #expect(tokenizer.encode(bytes) == Array(0...255))
    #expect(try tokenizer.decode(tokenizer.encode(bytes)) == bytes)
    #expect(tokenizer.name == "bytes" && tokenizer.vocabularySize == 256)
  }

  @Test("a token that is no byte is refused with its value and position", arguments: [-1, 256, 31999, Int32.min])
  func refusesOutOfRange(token: Int32) {
    let error = #expect(throws: Refusal.self) { try tokenizer.decode([7, 8, token]) }
    #expect(error?.kind == .badInput)
    #expect(error?.sentence.contains("token \(token) at position 2 ") == true)
  }
}
