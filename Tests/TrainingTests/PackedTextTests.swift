import Arrays
import Foundation
import Testing

@testable import Training

@Suite("Packed texts and JSON lines")
struct PackedTextTests {
  /// What gzip and zstd made of a text with a mark and a CRLF, and of a second one, one after the other.
  private static let gzip =
    "H4sIAAAAAAACA3u/e39BYnJ2aopCXuLh9WWpCiWpFSW8XMWpyfl5KQo5mXmpAALJvgYiAAAAH4sIAAAAAAACA1NIzEtRSFQoTk3OBzJyU3OTUou4AHfJgmEVAAAA"
  private static let zstd =
    "KLUv/QRYEQEA77u/cGFja2VkIG5hw692ZSB0ZXh0DQpzZWNvbmQgbGluZZ7D/fMotS/9BFihAAAgYW5kIGEgc2Vjb25kIGZyYW1lCtIkoJU="

  private func bytes(_ base64: String) throws -> [UInt8] { Array(try #require(Data(base64Encoded: base64))) }

  private func text(_ paths: [String], _ options: TextFiles.Options = TextFiles.Options()) throws -> String {
    var bytes: [UInt8] = []
    _ = try TextFiles.read(paths, options) { bytes.append(contentsOf: $0) }
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test("gzip's members and zstd's frames are unpacked one after the other, whatever the file is called")
  func unpacks() throws {
    let folder = try TemporaryFolder()
    let gz = try folder.write("a.txt.gz", try bytes(Self.gzip) + [0, 0, 0])
    let zst = try folder.write("b", try bytes(Self.zstd))
    #expect(try text([gz]) == "packed naïve text\nsecond line and a second member\n")
    #expect(try text([zst]) == "packed naïve text\nsecond line and a second frame\n")
    let counts = try TextFiles.read([gz, zst]) { _ in }
    #expect(counts.files == 2 && counts.byteOrderMarks == 2 && counts.lineEndsChanged == 2)
  }

  @Test("packed files that are cut or altered anywhere are refused, or give the very text", arguments: [true, false])
  func damaged(_ isGzip: Bool) throws {
    let folder = try TemporaryFolder()
    let whole = try bytes(isGzip ? Self.gzip : Self.zstd)
    let expected = try text([try folder.write("whole", whole)])
    for place in 4..<whole.count {
      let cut = try folder.write("cut", Array(whole[..<place]))
      // A cut between the members leaves a whole file of the first.
      if let text = try? text([cut]) { #expect(expected.hasPrefix(text)) }
      var altered = whole
      altered[place] ^= 0x10
      // Time, system and name in gzip's header are not covered by its checksum, nor is anything else open.
      if let text = try? text([try folder.write("altered", altered)]) { #expect(text == expected, "byte \(place)") }
    }
    let refusal = #expect(throws: Refusal.self) { try text([try folder.write("cut", Array(whole[..<30]))]) }
    #expect(refusal?.kind == .badInput && refusal?.sentence.contains("damaged or cut short") == true)
  }

  @Test("of JSON lines one field is taken, documents end their lines, empty ones and blank lines are passed over")
  func jsonLines() throws {
    let folder = try TemporaryFolder()
    let lines =
      #"{"text":"one\r\ntwo"}"# + "\r\n" + #"{"id":1,"text":"caf\u00e9 \ud834\udd1e"}"# + "\n\n"
      + #"{"text":""}"# + "\n" + #"{"text":"last\n","more":{"text":"no"}}"#
    let path = try folder.write("a.jsonl", lines)
    #expect(try text([path]) == "one\ntwo\ncafé 𝄞\nlast\n")
    #expect(try TextFiles.read([path]) { _ in }.documents == 3)
    var options = TextFiles.Options()
    options.field = "more"
    for (content, field, word) in [
      (lines, "body", "line 1"), (lines, "more", "--text-field"), (#"{"text":"a"}"# + "\n{", "text", "line 2"),
      (#"{"text":"a\u0000"}"#, "text", "NUL"), (#"{"text":5}"#, "text", "no text"), ("[1]", "text", "no text"),
    ] {
      options.field = field
      let path = try folder.write("b.ndjson", content)
      let refusal = #expect(throws: Refusal.self) { try text([path], options) }
      #expect(refusal?.kind == .badInput && refusal?.sentence.contains(word) == true, "\(refusal?.sentence ?? "")")
    }
  }

  @Test("bytes that are not UTF-8 become U+FFFD one by one and are counted, where that is asked for")
  func mends() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("latin", Array("na".utf8) + [0xef] + Array("ve €".utf8) + [0xe2, 0x82])
    var options = TextFiles.Options()
    options.replacesInvalid = true
    #expect(try text([path], options) == "na\u{fffd}ve €\u{fffd}\u{fffd}")
    #expect(try TextFiles.read([path], options) { _ in }.bytesReplaced == 3)
  }

  @Test("mending leaves well-formed text alone however it is cut, and always gives UTF-8")
  func mendsPieces() throws {
    var generator = SeededGenerator(seed: 11)
    let alphabet: [[UInt8]] =
      ["a", "é", "€", "𝄞"].map { Array($0.utf8) } + [[0xff], [0xe2], [0x82], [0xf0, 0x9d], [0xed, 0xa0]]
    for trial in 0..<300 {
      let kinds = trial.isMultiple(of: 2) ? 4 : alphabet.count
      let text = (0..<30).flatMap { _ in alphabet[generator.index(below: kinds)] }
      var mender = TextMender()
      var result: [UInt8] = []
      var start = 0
      while start < text.count {
        let end = min(text.count, start + 1 + generator.index(below: 5))
        result += text[start..<end].withUnsafeBytes { mender.mend($0) }
        start = end
      }
      result += mender.finish()
      #expect(String(validating: result, as: UTF8.self) != nil)
      var whole = TextMender()
      #expect(result == text.withUnsafeBytes { whole.mend($0) } + whole.finish())
      if kinds == 4 { #expect(result == text && mender.replaced == 0) }
    }
  }

  @Test("a glob names what it matches, in order; one that matches nothing is refused; a file of that name is itself")
  func globs() throws {
    let folder = try TemporaryFolder()
    for name in ["b.txt", "a.txt", "c.md"] { try folder.write(name, name + "\n") }
    #expect(try text([folder["*.txt"]]) == "a.txt\nb.txt\n")
    #expect(throws: Refusal.self) { try text([folder["*.rst"]]) }
    try folder.write("x[1]", "itself\n")
    #expect(try text([folder["x[1]"]]) == "itself\n")
  }
}
