import Arrays
import Foundation
import Testing

@testable import Checkpoints

struct SafetensorsRefusalTests {
  private static let four = #"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#

  /// Header, bytes of data, and words of the refusal.
  static let malformed: [(String, Int, String)] = [
    ("", 0, "does not begin with '{'"),
    (" {}", 0, "does not begin with '{'"),
    ("[]", 0, "does not begin with '{'"),
    ("{}x", 0, "should be its end"),
    ("{", 0, "should be '\"'"),
    ("{}", 1, "1 bytes belong to no tensor"),
    ("{\"a\":\(four)", 4, "should be '}'"),
    ("{\"a\":\(four),}", 4, "should be '\"'"),
    ("{\"a\":\(four)}", 5, "last 1 bytes belong to no tensor"),
    ("{\"a\":\(four)}", 3, "tensor 'a' has data_offsets [0, 4] outside the 3 bytes"),
    ("{\"a\":\(four),\"a\":\(four)}", 4, "names 'a' twice"),
    ("{\"a\":\(four),\"\\u0061\":\(four)}", 4, "names 'a' twice"),
    (#"{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4, "'a' has dtype twice"),
    (#"{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}"#, 4, "'a' has shape twice"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"data_offsets":[0,4]}}"#, 4, "'a' has data_offsets twice"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"extra":1}}"#, 4, "'a' has the unknown field 'extra'"),
    (#"{"a":{"dtype":"F8","shape":[1],"data_offsets":[0,4]}}"#, 4, "'a' has the unknown dtype 'F8'"),
    (#"{"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}}"#, 4, "'a' has the unknown dtype 'f32'"),
    (#"{"a":{"shape":[1],"data_offsets":[0,4]}}"#, 4, "'a' lacks"),
    (#"{"a":{"dtype":"F32","data_offsets":[0,4]}}"#, 4, "'a' lacks"),
    (#"{"a":{"dtype":"F32","shape":[1]}}"#, 4, "'a' lacks"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, 4, "'a' lacks"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,2,4]}}"#, 4, "more than 2 numbers"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, "data_offsets [4, 0] outside"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "4 bytes where its dtype and shape make 8"),
    (#"{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,4]}}"#, 4, "4 bytes where its dtype and shape make 8"),
    (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "should be a whole number"),
    (#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, 4, "should be ']'"),
    (#"{"a":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}"#, 4, "should be ']'"),
    (#"{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}"#, 4, "should be a whole number"),
    (#"{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}"#, 4, "should be a whole number"),
    (#"{"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}}"#, 4, "should be a whole number"),
    (#"{"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}}"#, 4, "should be '['"),
    (
      #"{"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}}"#, 4,
      "number in its header is too large"
    ),
    (#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#, 4, "product is too large"),
    (#"{"a":{"dtype":"F32","shape":[0,4294967296,4294967296,0],"data_offsets":[0,0]}}"#, 0, ""),
    (#"{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,4]}}"#, 4, "product is too large"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775807]}}"#, 4, "outside the 4 bytes"),
    (
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[\(String(repeating: "1,", count: 64))1],\"data_offsets\":[0,1]}}", 1,
      "more than 64"
    ),
    (
      "{\"a\":\(four),\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}", 6,
      "tensor 'b' overlaps the tensor before"
    ),
    ("{\"a\":\(four),\"b\":\(four)}", 4, "overlaps the tensor before"),
    ("{\"a\":\(four),\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[5,6]}}", 6, "'b' leaves a hole after"),
    (#"{"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#, 2, "'b' leaves a hole after"),
    (#"{"__metadata__":{"a":1}}"#, 0, "should be '\"'"),
    (#"{"__metadata__":{"a":{"b":"c"}}}"#, 0, "should be '\"'"),
    (#"{"__metadata__":null}"#, 0, "should be '{'"),
    (#"{"__metadata__":{},"__metadata__":{}}"#, 0, "names '__metadata__' twice"),
    (#"{"__metadata__":{"a":"1","a":"1"}}"#, 0, "metadata name 'a' twice"),
    (#"{"__metadata__":{"a":"\x"}}"#, 0, "should be an escape"),
    (#"{"__metadata__":{"a":"\u12G4"}}"#, 0, "should be a hexadecimal digit"),
    (#"{"__metadata__":{"a":"\ud83d"}}"#, 0, "should be a surrogate pair"),
    (#"{"__metadata__":{"a":"\ud83d\ud83d"}}"#, 0, "should be a surrogate pair"),
    (#"{"__metadata__":{"a":"\ude00"}}"#, 0, "should be a surrogate pair"),
    ("{\"__metadata__\":{\"a\":\"\n\"}}", 0, "holds a control character"),
    (#"{"__metadata__":{"a":"b"#, 0, "has no end"),
  ]

  @Test("a header that is not one is refused with file, tensor and reason", arguments: malformed)
  func malformedHeader(header: String, dataBytes: Int, words: String) throws {
    let bytes = safetensorsFile(header, data: [UInt8](repeating: 0, count: dataBytes))
    if words.isEmpty {
      #expect(throws: Never.self) { try Safetensors(bytes: bytes, path: "some/file") }
      return
    }
    let refusal = #expect(throws: Refusal.self) { try Safetensors(bytes: bytes, path: "some/file") }
    let sentence = refusal?.sentence ?? ""
    #expect(sentence.hasPrefix("some/file is not a valid safetensors file") && sentence.contains(words), "\(sentence)")
    #expect(refusal?.kind == .badInput && !sentence.contains("\n") && sentence.count < 400)
  }

  @Test("nesting without end and names without measure are refused in a short sentence")
  func outsized() {
    let long = String(repeating: "n", count: 10_000)
    let headers = [
      (String(repeating: "{\"a\":", count: 100_000), "unknown field 'a'"),
      ("{\"a\":" + String(repeating: "[", count: 100_000), "should be '{'"),
      ("{\"\(long)\n\":1}", "control character"), ("{\"\(long)\":{}}", "'\(long.prefix(80))...' lacks"),
      ("{\"a\\n\\u0000b\":{}}", "'a??b' lacks"),
    ]
    for (header, words) in headers {
      let refusal = #expect(throws: Refusal.self) { try Safetensors(bytes: safetensorsFile(header), path: "file") }
      let sentence = refusal?.sentence ?? ""
      #expect(sentence.contains(words) && sentence.count < 400 && !sentence.contains("\n"))
    }
  }

  @Test("bytes that are not UTF-8 are refused in a name")
  func notUTF8() {
    var bytes = safetensorsFile(#"{"__metadata__":{"a":"bc"}}"#)
    bytes[bytes.firstIndex(of: UInt8(ascii: "b"))!] = 0xFF
    let refusal = #expect(throws: Refusal.self) { try Safetensors(bytes: bytes, path: "file") }
    #expect(refusal?.sentence.contains("not UTF-8") == true)
  }

  @Test("a length of the header that the file cannot have is refused before anything is read")
  func headerLength() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "model.safetensors")
      let prefixes: [UInt64] = [3, 4, 100_000_001, UInt64(Int.max) - 8, UInt64(Int.max), 1 << 63, .max]
      var files = prefixes.map { length in withUnsafeBytes(of: length) { Array($0) } + Array("{}".utf8) }
      files += (0..<8).map { [UInt8](repeating: 0, count: $0) }
      files.append([UInt8](repeating: 0, count: 8))
      for bytes in files {
        try Data(bytes).write(to: url)
        let refusal = try #require(throws: Refusal.self) { try Safetensors(contentsOf: url) }
        #expect(refusal.kind == .badInput && refusal.sentence.contains(url.path))
        #expect(throws: refusal) { try Safetensors(bytes: bytes, path: url.path) }
      }
    }
  }

  @Test("what is valid but unusual is read: no tensors, white space, escapes, empty tensors, tensors out of order")
  func unusual() throws {
    #expect(try Safetensors(bytes: safetensorsFile("{}"), path: "file").tensors.isEmpty)
    let header = """
      { "\\u0062\\n\\ud83d\\ude00\\/" : { "shape" : [ 1 ,\t1 ] , "data_offsets" : [ 1 , 2 ] , "dtype" : "U8" } ,
        "__metadata__" : { } , "z" : { "dtype" : "F32", "shape" : [0], "data_offsets" : [1, 1] },
        "a" : { "dtype" : "BOOL", "shape" : [], "data_offsets" : [0, 1] } }  \n
      """
    let file = try Safetensors(bytes: safetensorsFile(header, data: [1, 200]), path: "file")
    #expect(file.tensors.keys.sorted() == ["a", "b\n\u{1F600}/", "z"])
    #expect(try file.bytes("b\n\u{1F600}/") == [200])
    #expect(try file.floats("z") == [])
  }

  @Test("a file that shrinks after it was opened is refused when it is read")
  func shrinks() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "model.safetensors")
      var writer = SafetensorsWriter()
      try writer.add("a", shape: [1000], floats: [Float](repeating: 1, count: 1000))
      try writer.write(to: url)
      let file = try Safetensors(contentsOf: url)
      try FileHandle(forWritingTo: url).truncate(atOffset: 2000)
      #expect(throws: Refusal.self) { try file.floats("a") }
    }
  }

  @Test("twenty thousand mutations of a valid file are refused or give tensors that tile the data")
  func mutations() throws {
    let tensors =
      #""a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b.\u00e9":{"dtype":"BF16","shape":[2],"#
      + #""data_offsets":[24,28]},"c":{"dtype":"I64","shape":[1],"data_offsets":[28,36]},"#
      + #""d":{"dtype":"U8","shape":[0,9],"data_offsets":[36,36]}"#
    let valid = safetensorsFile(
      "{\"__metadata__\":{\"format\":\"pt\"},\(tensors)}  ", data: [UInt8]((0..<36).map { UInt8($0) }))
    let pieces = [
      "9223372036854775807", "18446744073709551616", "-1", "0", "1e308", "4294967296", "{", "}", "[", "]", ",", ":",
      "\"",
      "\\", "\\ud800", "null", "\"__metadata__\"", "\"a\"", "F64", "BOOL", "\u{0}", " ", "36", "24",
    ]
    var generator = SeededGenerator(seed: 4)
    var accepted = 0
    for round in 0..<20_000 {
      var bytes = valid
      for _ in 0...generator.index(below: 3) {
        let position = generator.index(below: bytes.count)
        switch generator.index(below: 6) {
        case 0: bytes.removeSubrange(position...)
        case 1: bytes[position] ^= 1 << UInt8(generator.index(below: 8))
        case 2: bytes[position] = UInt8(generator.index(below: 256))
        case 3: bytes.insert(contentsOf: pieces[generator.index(below: pieces.count)].utf8, at: position)
        case 4:
          let end = min(bytes.count, position + generator.index(below: 20))
          bytes.replaceSubrange(position..<end, with: pieces[generator.index(below: pieces.count)].utf8)
        default:
          let from = generator.index(below: bytes.count)
          bytes.insert(contentsOf: Array(bytes[from..<min(bytes.count, from + 40)]), at: position)
        }
        if bytes.isEmpty { break }
      }
      // Half of the time the length is made right again, so that the mutation reaches the header's reader.
      if round % 2 == 0, let brace = bytes.lastIndex(of: UInt8(ascii: "}")), brace >= 8 {
        withUnsafeBytes(of: UInt64(brace - 7)) { bytes.replaceSubrange(0..<8, with: $0) }
      }
      do {
        let file = try Safetensors(bytes: bytes, path: "file")
        accepted += 1
        var covered = 0
        for (name, tensor) in file.tensors {
          #expect(tensor.shape.reduce(1, *) == tensor.count && tensor.range.count == tensor.count * tensor.dtype.size)
          #expect(try file.bytes(name) == Array(bytes[tensor.range]))
          _ = try? file.floats(name)
          _ = try? file.int32s(name)
          covered += tensor.range.count
        }
        let header = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
        #expect(covered == bytes.count - 8 - header)
      } catch {
        #expect(error is Refusal)
      }
    }
    #expect(accepted > 100 && accepted < 10_000)
  }
}
