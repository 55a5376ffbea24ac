import Arrays
import Foundation
import Testing

@testable import Records

/// A decoder of its own, from the formats' descriptions: TFRecord, and protocol buffers without a schema.
private struct Decoder {
  enum Value: Equatable {
    case varint(UInt64)
    case bits64(UInt64)
    case bits32(UInt32)
    case bytes([UInt8])
  }
  struct Malformed: Error {}

  var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  mutating func take(_ count: Int) throws -> [UInt8] {
    guard count <= rest.count else { throw Malformed() }
    defer { rest = rest.dropFirst(count) }
    return Array(rest.prefix(count))
  }

  mutating func number(_ count: Int) throws -> UInt64 {
    try take(count).enumerated().reduce(0) { $0 + UInt64($1.element) << UInt64(8 * $1.offset) }
  }

  mutating func varint() throws -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      let byte = try take(1)[0]
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw Malformed()
  }

  static func fields(_ bytes: [UInt8]) throws -> [UInt64: [Value]] {
    var decoder = Decoder(bytes)
    var fields: [UInt64: [Value]] = [:]
    while !decoder.rest.isEmpty {
      let key = try decoder.varint()
      let value: Value =
        switch key & 7 {
        case 0: .varint(try decoder.varint())
        case 1: .bits64(try decoder.number(8))
        case 2: .bytes(try decoder.take(Int(try decoder.varint())))
        case 5: .bits32(UInt32(try decoder.number(4)))
        default: throw Malformed()
        }
      fields[key >> 3, default: []].append(value)
    }
    return fields
  }

  static func records(_ bytes: [UInt8]) throws -> [[UInt8]] {
    var decoder = Decoder(bytes)
    var records: [[UInt8]] = []
    while !decoder.rest.isEmpty {
      let length = try decoder.take(8)
      guard try decoder.number(4) == mask(length) else { throw Malformed() }
      var lengthDecoder = Decoder(length)
      let data = try decoder.take(Int(try lengthDecoder.number(8)))
      guard try decoder.number(4) == mask(data) else { throw Malformed() }
      records.append(data)
    }
    return records
  }

  private static func mask(_ bytes: [UInt8]) -> UInt64 {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }
    return UInt64(((~crc >> 15) | (~crc << 17)) &+ 0xA282_EAD8)
  }
}

struct TensorBoardWriterTests {
  private func events(_ url: URL) throws -> [[UInt64: [Decoder.Value]]] {
    try Decoder.records(Array(Data(contentsOf: url))).map(Decoder.fields)
  }

  @Test("scalars are read back by another decoder: times, steps, tags and values")
  func scalars() throws {
    try withTemporaryFolder { folder in
      let writer = try TensorBoardWriter(folder: folder, at: 1_700_000_000.5)
      let written: [(step: Int, scalars: [(tag: String, value: Double)])] = [
        (1, [("train/loss", 5.5), ("learningRate", 3e-4)]), (300, [("train/loss", .nan)]), (-1, [("é", -1)]),
        (Int.max, [(String(repeating: "t", count: 200), .infinity)]), (5, []),
      ]
      for (index, event) in written.enumerated() {
        try writer.write(event.scalars, step: event.step, at: Double(index) + 0.25)
      }
      let events = try events(writer.url)
      #expect(
        events[0] == [1: [.bits64((1_700_000_000.5).bitPattern)], 3: [.bytes(Array("brain.Event:2".utf8))]])
      #expect(events.count == written.count + 1)
      for (index, (event, expected)) in zip(events.dropFirst(), written).enumerated() {
        #expect(event[1] == [.bits64((Double(index) + 0.25).bitPattern)])
        #expect(event[2] == [.varint(UInt64(bitPattern: Int64(expected.step)))])
        guard case .bytes(let summary)? = event[5]?.first else {
          Issue.record("an event has no summary")
          continue
        }
        let values = try (Decoder.fields(summary)[1] ?? []).map { value -> [UInt64: [Decoder.Value]] in
          guard case .bytes(let bytes) = value else { throw Decoder.Malformed() }
          return try Decoder.fields(bytes)
        }
        #expect(
          values
            == expected.scalars.map {
              [1: [.bytes(Array($0.tag.utf8))], 2: [.bits32(Float($0.value).bitPattern)]]
            })
      }
    }
  }

  @Test("the file is named for TensorBoard, and sorts after the ones before it whatever the clock says")
  func fileName() throws {
    try withTemporaryFolder { folder in
      let first = try TensorBoardWriter(folder: folder, at: 1_700_000_000)
      let second = try TensorBoardWriter(folder: folder, at: 1_700_000_000)
      let third = try TensorBoardWriter(folder: folder, at: 1_600_000_000)
      #expect(first.url.lastPathComponent.hasPrefix("events.out.tfevents.1700000000."))
      let files = [first, second, third].map(\.url.lastPathComponent)
      #expect(files == files.sorted() && Set(files).count == 3)
      #expect(try names(in: folder).count == 3)
    }
  }

  @Test("a run that goes on says at which step it starts again")
  func resuming() throws {
    try withTemporaryFolder { folder in
      let writer = try TensorBoardWriter(folder: folder, resumingAfter: 100, at: 1)
      let events = try events(writer.url)
      #expect(events.count == 2)
      #expect(events[1][2] == [.varint(101)] && events[1][7] == [.bytes([0x08, 0x01])])
    }
  }

  @Test("a folder that is not there is refused with its path")
  func absentFolder() throws {
    try withTemporaryFolder { folder in
      let absent = folder.appending(path: "absent")
      let refusal = #expect(throws: Refusal.self) { try TensorBoardWriter(folder: absent) }
      #expect(refusal?.sentence.contains(absent.path) == true)
    }
  }
}
