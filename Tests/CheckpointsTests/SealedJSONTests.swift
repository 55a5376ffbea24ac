import Arrays
import Foundation
import Records
import Testing

@testable import Checkpoints

struct SealedJSONTests {
  private struct State: Codable, Equatable {
    var step = 100
    var generator: UInt64 = .max
    var cursors = [1, 2, 3]
    var loss = 0.1
    var nested = ["a": ["b": "c/d é"]]
  }

  @Test("a record comes back, and the file is JSON with one field more")
  func roundTrip() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "state.json")
      try SealedJSON.write(State(), to: url)
      #expect(try SealedJSON.read(State.self, from: url) == State())
      let data = try Data(contentsOf: url)
      #expect(try JSONDecoder().decode(State.self, from: data) == State())
      let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
      #expect(Set(object.keys) == ["checksum", "step", "generator", "cursors", "loss", "nested"])

      try SealedJSON.write([String: Int](), to: url)
      #expect(try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: String] != nil)
    }
  }

  @Test("the checksum is the CRC-32C of the file with its own digits zero")
  func checksum() throws {
    var bytes = try SealedJSON.bytes(of: State(), for: "state.json")
    let start = Array("{\n  \"checksum\" : \"".utf8).count
    let digits = String(decoding: bytes[start..<start + 8], as: UTF8.self)
    bytes.replaceSubrange(start..<start + 8, with: Array("00000000".utf8))
    #expect(UInt32(digits, radix: 16) == CRC32C.checksum(bytes))
  }

  @Test("every bit of every byte matters, and so does every missing byte at the end")
  func everyBit() throws {
    let bytes = try SealedJSON.bytes(of: State(), for: "state.json")
    var unnoticed = 0
    for position in bytes.indices {
      for bit in 0..<8 {
        var altered = bytes
        altered[position] ^= 1 << UInt8(bit)
        if (try? SealedJSON.decode(State.self, from: altered, path: "state.json")) != nil { unnoticed += 1 }
      }
      if (try? SealedJSON.decode(State.self, from: Array(bytes[..<position]), path: "state.json")) != nil {
        unnoticed += 1
      }
    }
    #expect(unnoticed == 0)
    let refusal = #expect(throws: Refusal.self) {
      try SealedJSON.decode(State.self, from: bytes + [10], path: "run/state.json")
    }
    #expect(refusal == .badInput("run/state.json is damaged: its checksum does not match; use an older checkpoint"))
  }

  @Test("what is not an object, or has a checksum of its own, cannot be sealed")
  func notAnObject() {
    #expect(throws: Refusal.self) { try SealedJSON.bytes(of: [1, 2], for: "file") }
    #expect(throws: Refusal.self) { try SealedJSON.bytes(of: "text", for: "file") }
    #expect(throws: Refusal.self) { try SealedJSON.bytes(of: ["checksum": "x"], for: "file") }
    #expect(throws: Refusal.self) { try SealedJSON.bytes(of: ["x": Double.nan], for: "file") }
  }

  @Test("twenty thousand mutations, half of them with a right checksum, are refused or decode")
  func mutations() throws {
    let valid = try SealedJSON.bytes(of: State(), for: "state.json")
    let start = Array("{\n  \"checksum\" : \"".utf8).count
    let pieces = [
      "99999999999999999999", "-1", "1e999", "1e-999", "{", "}", "[", "]", ",", "\"", "\\", "\\ud800", "null", "\u{0}",
      "\"step\":", "0.1", "true", String(repeating: "[", count: 2000), String(repeating: "{\"a\":", count: 700),
    ]
    var generator = SeededGenerator(seed: 5)
    var accepted = 0
    for round in 0..<20_000 {
      var bytes = valid
      let isResealed = round % 2 == 0
      for _ in 0...generator.index(below: 3) {
        let floor = isResealed ? start + 9 : 0
        guard bytes.count > floor else { break }
        let position = floor + generator.index(below: bytes.count - floor)
        switch generator.index(below: 5) {
        case 0 where !isResealed || round % 20 == 0: bytes.removeSubrange(position...)
        case 1: bytes[position] ^= 1 << UInt8(generator.index(below: 8))
        case 2: bytes.insert(contentsOf: pieces[generator.index(below: pieces.count)].utf8, at: position)
        case 3:
          let end = min(bytes.count, position + generator.index(below: 12))
          bytes.replaceSubrange(position..<end, with: pieces[generator.index(below: pieces.count)].utf8)
        default:
          let from = generator.index(below: bytes.count)
          bytes.insert(contentsOf: Array(bytes[from..<min(bytes.count, from + 30)]), at: position)
        }
      }
      if isResealed {
        bytes.replaceSubrange(start..<start + 8, with: Array("00000000".utf8))
        bytes.replaceSubrange(start..<start + 8, with: Array(CRC32C.text(CRC32C.checksum(bytes)).utf8))
      }
      do {
        _ = try SealedJSON.decode(State.self, from: bytes, path: "state.json")
        accepted += 1
        #expect(isResealed || bytes == valid)
      } catch {
        #expect(error is Refusal)
      }
    }
    #expect(accepted > 100 && accepted < 10_000)
  }
}
