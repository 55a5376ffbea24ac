import Foundation
import Records
import Testing

@testable import Tokenizers

/// A tokenizer of Fixtures/ and what the library that made it gives for every case.
struct TokenizerFixture: Sendable, CustomTestStringConvertible {
  let name: String
  let texts: [[UInt8]]
  let tokens: [[Int32]]
  let decoded: [String]

  var testDescription: String { name }

  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")

  static let all: [TokenizerFixture] = {
    do {
      let bytes = try OpenFile(reading: folder.appendingPathComponent("expected.json").path).contents()
      let document = try JSONValue(parsing: bytes, at: "expected.json")
      let texts = (document["cases"]?.array ?? []).map { $0.bytes! }
      return (document["expected"]?.members ?? []).map { member in
        TokenizerFixture(
          name: String(decoding: member.name, as: UTF8.self), texts: texts,
          tokens: member.value["tokens"]!.array!.map { $0.array!.map { Int32($0.integer!) } },
          decoded: member.value["decoded"]!.array!.map { $0.string! })
      }
    } catch {
      return []
    }
  }()

  static func bytes(_ name: String) throws -> [UInt8] {
    try OpenFile(reading: folder.appendingPathComponent(name).path).contents()
  }

  func tokenizer() throws -> any Tokenizer {
    try TokenizerFile(Self.bytes(name), path: name).tokenizer
  }
}
