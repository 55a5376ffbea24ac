import Arrays
import Foundation
import Records
import Testing

@testable import Checkpoints

/// A safetensors file from its header's text and its data, made here and not by the writer under test.
func safetensorsFile(_ header: String, data: [UInt8] = []) -> [UInt8] {
  withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) } + Array(header.utf8) + data
}

struct SafetensorsTests {
  private let specials: [Float] = [0, -0.0, 1.5, -.infinity, .nan, .leastNonzeroMagnitude, .greatestFiniteMagnitude]

  @Test("floats, doubles, integers and bytes come back bitwise, with shapes and metadata")
  func roundTrip() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "model.safetensors")
      let integers: [Int32] = [.min, -1, 0, .max]
      let bytes = Dtype.allCases.map { ($0, [UInt8]((0..<3 * $0.size).map { UInt8($0 * 37 % 251) })) }
      var writer = SafetensorsWriter(metadata: ["format": "pt", "filigree.structure": "bsr-32 \"x\"\n\\ \u{1} é"])
      try writer.add("floats", shape: [7, 1], floats: specials)
      try writer.add("doubles", shape: [2], doubles: [.pi, -0.0])
      try writer.add("integers", shape: [2, 2], int32s: integers)
      try writer.add("scalar", shape: [], floats: [2])
      try writer.add("empty", shape: [3, 0, 5], floats: [])
      for (dtype, bytes) in bytes { try writer.add("of \(dtype.rawValue)/\u{1F600}", dtype, shape: [3], bytes: bytes) }
      let digest = try writer.write(to: url)

      let file = try Safetensors(contentsOf: url)
      #expect(file.metadata == ["format": "pt", "filigree.structure": "bsr-32 \"x\"\n\\ \u{1} é"])
      #expect(file.tensors.count == 5 + bytes.count)
      #expect(try file.floats("floats", shape: [7, 1]).map(\.bitPattern) == specials.map(\.bitPattern))
      #expect(try file.doubles("doubles").map(\.bitPattern) == [Double.pi.bitPattern, (-0.0).bitPattern])
      #expect(try file.int32s("integers", shape: [2, 2]) == integers)
      #expect(try file.floats("scalar", shape: []) == [2])
      #expect(try file.floats("empty", shape: [3, 0, 5]) == [])
      for (dtype, bytes) in bytes {
        #expect(try file.bytes("of \(dtype.rawValue)/\u{1F600}") == bytes)
        #expect(file.tensors["of \(dtype.rawValue)/\u{1F600}"]?.dtype == dtype)
      }
      let whole = Array(try Data(contentsOf: url))
      #expect(digest == FileDigest(bytes: whole.count, crc32c: CRC32C.checksum(whole)))
      #expect(try Safetensors(bytes: whole, path: "memory").tensors == file.tensors)
    }
  }

  @Test("the bytes are those that the reference implementation writes, whatever the order of adding")
  func bytes() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "model.safetensors")
      let tensors: [(SafetensorsWriter) throws -> SafetensorsWriter] = [
        {
          var writer = $0
          try writer.add("b", .u8, shape: [3], bytes: [1, 2, 3])
          return writer
        },
        {
          var writer = $0
          try writer.add("b.x", shape: [1], floats: [1])
          return writer
        },
        {
          var writer = $0
          try writer.add("a", shape: [1, 1], floats: [-2])
          return writer
        },
      ]
      let header =
        #"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},"#
        + #""b.x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}"#
      let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
      let expected = safetensorsFile(padded, data: [0, 0, 0, 0xC0, 0, 0, 0x80, 0x3F, 1, 2, 3])
      for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let writer = try order.reduce(SafetensorsWriter(metadata: ["format": "pt"])) { try tensors[$1]($0) }
        try writer.write(to: url)
        #expect(Array(try Data(contentsOf: url)) == expected)
      }
    }
  }

  @Test("data at odd positions is read all the same")
  func unaligned() throws {
    for padding in 0..<9 {
      let header =
        #"{"a":{"dtype":"U8","shape":[\#(padding)],"data_offsets":[0,\#(padding)]},"f":{"dtype":"F32","shape":[2],"#
        + #""data_offsets":[\#(padding),\#(padding + 8)]},"d":{"dtype":"F64","shape":[1],"data_offsets":["#
        + #"\#(padding + 8),\#(padding + 16)]}}"#
      var data = [UInt8](repeating: 9, count: padding)
      withUnsafeBytes(of: (Float(1.5).bitPattern, Float(-3).bitPattern, Double(0.1).bitPattern)) { data += $0 }
      let file = try Safetensors(bytes: safetensorsFile(header, data: data), path: "odd")
      #expect(try file.floats("f") == [1.5, -3])
      #expect(try file.doubles("d") == [0.1])
      #expect(try file.floats("d") == [0.1])
    }
  }

  @Test("every half and every bfloat16 has the value of its definition")
  func sixteenBits() throws {
    let all = (0...UInt16.max).flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
    let header =
      #"{"h":{"dtype":"F16","shape":[65536],"data_offsets":[0,131072]},"#
      + #""b":{"dtype":"BF16","shape":[65536],"data_offsets":[131072,262144]}}"#
    let file = try Safetensors(bytes: safetensorsFile(header, data: all + all), path: "all")
    for (name, exponentBits) in [("h", 5), ("b", 8)] {
      let mantissaBits = 15 - exponentBits
      let bias = 1 << (exponentBits - 1)
      let floats = try file.floats(name)
      let doubles = try file.doubles(name)
      var wrong = 0
      for bits in 0...0xFFFF {
        let exponent = bits >> mantissaBits & (1 << exponentBits - 1)
        let fraction = Double(bits & (1 << mantissaBits - 1)) / Double(1 << mantissaBits)
        let magnitude =
          exponent == 0
          ? fraction * pow(2, Double(2 - bias)) : (1 + fraction) * pow(2, Double(exponent + 1 - bias))
        let isSpecial = exponent == 1 << exponentBits - 1
        let value = (bits >> 15 == 1 ? -1 : 1) * (isSpecial ? (fraction == 0 ? Double.infinity : .nan) : magnitude)
        let isSame = { (read: Double) in read.isNaN ? value.isNaN : read == value && read.sign == value.sign }
        if !isSame(Double(floats[bits])) || !isSame(doubles[bits]) { wrong += 1 }
      }
      #expect(wrong == 0, "\(name)")
    }
  }

  @Test("floats written with sixteen bits are the nearest such numbers", arguments: [Dtype.f16, .bf16])
  func rounding(dtype: Dtype) throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "model.safetensors")
      var generator = SeededGenerator(seed: 3)
      var values: [Float] = (0..<70000).map { _ in Float(generator.normal() * exp(generator.normal() * 3)) }
      values += [0, -0.0, .infinity, -.infinity, 1 + 0x1p-8, 1 + 0x3p-8, 1 + 0x1p-11, 1 + 0x3p-11]
      var writer = SafetensorsWriter()
      try writer.add("x", dtype, shape: [values.count], floats: values)
      try writer.add("nan", dtype, shape: [1], floats: [Float(bitPattern: 0x7F80_0001)])
      try writer.write(to: url)
      let file = try Safetensors(contentsOf: url)
      let read = try file.doubles("x")
      let bits = try file.bytes("x")
      #expect(try file.floats("nan")[0].isNaN)
      for (i, value) in values.enumerated() {
        let neighbours = [-1, 1].compactMap { step -> Double? in
          let near = (Int(bits[2 * i]) | Int(bits[2 * i + 1]) << 8) + step
          guard (0...0xFFFF).contains(near) else { return nil }
          let single =
            dtype == .bf16 ? Float(bitPattern: UInt32(near) << 16) : Float(Float16(bitPattern: UInt16(near)))
          return single.isFinite ? Double(single) : nil
        }
        let exact = Double(value)
        let isNearest = neighbours.allSatisfy { neighbour in
          let own = abs(read[i] - exact)
          let other = abs(neighbour - exact)
          return own < other || own == other && bits[2 * i] & 1 == 0
        }
        if read[i].isFinite, !isNearest { Issue.record("\(value) became \(read[i])") }
        if !value.isFinite { #expect(read[i] == exact) }
      }
    }
  }

  @Test("integers of every width are read where they fit and refused where not")
  func integers() throws {
    let minusOne = [UInt8](repeating: 0xFF, count: 8)
    let fits: [(String, Int, Int32?)] = [
      ("I8", 1, -1), ("U8", 1, 255), ("I16", 2, -1), ("U16", 2, 65535), ("I32", 4, -1), ("U32", 4, nil),
      ("I64", 8, -1), ("U64", 8, nil), ("BOOL", 1, nil), ("F32", 4, nil),
    ]
    for (dtype, size, value) in fits {
      let header = #"{"i":{"dtype":"\#(dtype)","shape":[1],"data_offsets":[0,\#(size)]}}"#
      let file = try Safetensors(bytes: safetensorsFile(header, data: Array(minusOne[..<size])), path: "integers")
      if let value {
        #expect(try file.int32s("i") == [value])
      } else {
        let refusal = #expect(throws: Refusal.self) { try file.int32s("i") }
        #expect(refusal?.sentence.hasPrefix("integers: tensor 'i' ") == true)
      }
      if !dtype.hasPrefix("F") {
        #expect(throws: Refusal.self) { try file.floats("i") }
        #expect(throws: Refusal.self) { try file.doubles("i") }
      }
    }
  }

  @Test("floats can be read into memory of the right size only")
  func intoMemory() throws {
    let header = #"{"f":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#
    let file = try Safetensors(bytes: safetensorsFile(header, data: [0x80, 0x3F, 0x00, 0xC0]), path: "memory")
    var floats: [Float] = [7, 7, 7]
    try floats.withUnsafeMutableBufferPointer {
      try file.readFloats("f", into: UnsafeMutableBufferPointer(rebasing: $0[..<2]))
    }
    #expect(floats == [1, -2, 7])
    let short = #expect(throws: Refusal.self) {
      try floats.withUnsafeMutableBufferPointer { try file.readFloats("f", into: $0) }
    }
    #expect(short?.sentence.hasPrefix("memory: tensor 'f' has 2 elements where 3 are needed") == true)
    #expect(throws: Refusal.self) { try file.floats("f", shape: [1, 2]) }
    let absent = #expect(throws: Refusal.self) { try file.floats("g") }
    #expect(absent?.sentence.hasPrefix("memory has no tensor 'g'") == true)
  }

  @Test("the writer refuses a name given twice, a reserved name, a wrong length and an impossible shape")
  func writerRefuses() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "model.safetensors")
      var writer = SafetensorsWriter()
      try writer.add("a", shape: [1], floats: [1])
      #expect(throws: Refusal.self) { try writer.add("a", shape: [1], floats: [1]) }
      #expect(throws: Refusal.self) { try writer.add("__metadata__", shape: [1], floats: [1]) }
      #expect(throws: Refusal.self) { try writer.add("b", shape: [-1, -1], floats: [1]) }
      #expect(throws: Refusal.self) { try writer.add("b", shape: [.max, 8], floats: [1]) }
      #expect(throws: Refusal.self) { try writer.add("b", .i8, shape: [1], floats: [1]) }
      try writer.add("c", shape: [2], floats: [1])
      let refusal = #expect(throws: Refusal.self) { try writer.write(to: url) }
      #expect(refusal?.sentence.contains("'c' to \(url.path): it has 4 bytes") == true)
      #expect(try names(in: folder) == [])
    }
  }
}
