import Arrays
import FoundationEssentials
import Glibc

/// Scalars for TensorBoard: `events.out.tfevents.<seconds>.<host>`.
///
/// A file of TFRecords, each: length (u64), masked CRC-32C of these eight bytes, data, masked CRC-32C of the data, all
/// little-endian. The data is a protocol buffer `Event { wall_time = 1 double, step = 2 int64, file_version = 3 string,
/// summary = 5, session_log = 7 }`, with `Summary { value = 1 { tag = 1 string, simple_value = 2 float } }`
/// (TensorFlow's event.proto and summary.proto). The first event is the version "brain.Event:2".
package final class TensorBoardWriter {
  package let url: URL
  private let file: OpenFile

  /// Of the event files that are there: TensorBoard reads them in this order, and a clock may have been set back since.
  private static func newestSecond(in folder: URL) -> Int? {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.compactMap { name in
      let parts = name.split(separator: ".")
      return name.hasPrefix("events.out.tfevents.") && parts.count > 3 ? Int(parts[3]) : nil
    }.max()
  }

  /// Begins a file of its own. A run that goes on after `step` says so, and TensorBoard forgets what an earlier file has
  /// of later steps.
  package init(folder: URL, resumingAfter step: Int? = nil, at wallTime: Double = TensorBoardWriter.now) throws {
    let second = max(Int(wallTime), TensorBoardWriter.newestSecond(in: folder).map { $0 + 1 } ?? 0)
    url = folder.appending(path: "events.out.tfevents.\(second).\(TensorBoardWriter.host)")
    self.file = try OpenFile(creating: url.path)
    var event = ProtocolBuffer()
    event.append(1, wallTime)
    event.append(3, "brain.Event:2")
    try write(event)
    if let step {
      var started = ProtocolBuffer()
      started.append(1, 1)
      var event = ProtocolBuffer()
      event.append(1, wallTime)
      event.append(2, step + 1)
      event.append(7, started)
      try write(event)
    }
  }

  /// The scalars of one step, as one event.
  package func write(
    _ scalars: [(tag: String, value: Double)], step: Int, at wallTime: Double = TensorBoardWriter.now
  ) throws {
    var summary = ProtocolBuffer()
    for scalar in scalars {
      var value = ProtocolBuffer()
      value.append(1, scalar.tag)
      value.append(2, Float(scalar.value))
      summary.append(1, value)
    }
    var event = ProtocolBuffer()
    event.append(1, wallTime)
    event.append(2, step)
    event.append(5, summary)
    try write(event)
  }

  /// Seconds since 1970.
  package static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  private static var host: String {
    var name = [UInt8](repeating: 0, count: 256)
    _ = name.withUnsafeMutableBytes { gethostname($0.bindMemory(to: CChar.self).baseAddress!, $0.count - 1) }
    let text = String(decoding: name.prefix { $0 != 0 }, as: UTF8.self).filter { $0 != "/" }
    return text.isEmpty ? "host" : text
  }

  private func write(_ event: ProtocolBuffer) throws {
    let length = littleEndian(UInt64(event.bytes.count))
    try file.append(
      length + littleEndian(CRC32C.masked(CRC32C.checksum(length))) + event.bytes
        + littleEndian(CRC32C.masked(CRC32C.checksum(event.bytes))))
  }
}

private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

/// A protocol buffer message: each field its number and wire type as a varint, then its value.
private struct ProtocolBuffer {
  private(set) var bytes: [UInt8] = []

  private mutating func append(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private mutating func append(key field: UInt64, wireType: UInt64) { append(varint: field << 3 | wireType) }

  mutating func append(_ field: UInt64, _ value: Int) {
    append(key: field, wireType: 0)
    append(varint: UInt64(bitPattern: Int64(value)))
  }

  mutating func append(_ field: UInt64, _ value: Double) {
    append(key: field, wireType: 1)
    bytes += littleEndian(value.bitPattern)
  }

  mutating func append(_ field: UInt64, _ value: Float) {
    append(key: field, wireType: 5)
    bytes += littleEndian(value.bitPattern)
  }

  mutating func append(_ field: UInt64, _ value: String) { append(field, Array(value.utf8)) }

  mutating func append(_ field: UInt64, _ value: ProtocolBuffer) { append(field, value.bytes) }

  private mutating func append(_ field: UInt64, _ value: [UInt8]) {
    append(key: field, wireType: 2)
    append(varint: UInt64(value.count))
    bytes += value
  }
}
