import Arrays
import FoundationEssentials

/// A file of records, one JSON object a line.
///
/// A process that is killed can leave a last line without its newline. It counts as a record if it is whole; where the
/// caller allows it, it is dropped otherwise. Any other line that is not a record is refused, with the file and the line
/// (from 1).
package enum JSONLines {
  private static let newline: UInt8 = 10

  package static func read<Record: Decodable>(
    _ type: Record.Type, from url: URL, allowingTornTail: Bool = false
  ) throws -> [Record] {
    try lines(type, from: url, allowingTornTail: allowingTornTail).map(\.record)
  }

  /// The records with the bytes of their lines, newline not included.
  static func lines<Record: Decodable>(
    _ type: Record.Type, from url: URL, allowingTornTail: Bool
  ) throws -> [(record: Record, text: ArraySlice<UInt8>)] {
    let bytes = try OpenFile(reading: url.path).contents()
    var lines: [(record: Record, text: ArraySlice<UInt8>)] = []
    var start = 0
    while start < bytes.count {
      let end = bytes[start...].firstIndex(of: newline)
      let text = bytes[start..<(end ?? bytes.count)]
      do {
        lines.append((try RecordJSON.decode(type, from: text, at: "\(url.path), line \(lines.count + 1),"), text))
      } catch {
        if end == nil && allowingTornTail { break }
        throw error
      }
      start = (end ?? bytes.count) + 1
    }
    return lines
  }
}

/// Appends records to a file of JSON lines, each by one write of a whole line.
///
/// A torn last line that a killed process left is completed, if it is a whole record, or cut off.
package final class JSONLinesWriter<Record: Codable> {
  private let url: URL
  private var file: OpenFile

  package init(_ url: URL) throws {
    self.url = url
    self.file = try OpenFile(appending: url.path)
    try mendTail()
  }

  package func append(_ record: Record) throws {
    try file.append(try RecordJSON.line(record, for: url.path) + [10])
  }

  /// Returns when all lines are on the disk.
  package func sync() throws { try file.sync() }

  /// Keeps only the lines whose records satisfy the predicate, byte by byte as they are; nothing is lost if it fails.
  package func truncate(keeping isKept: (Record) throws -> Bool) throws {
    let lines = try JSONLines.lines(Record.self, from: url, allowingTornTail: true)
    let kept = try lines.filter { try isKept($0.record) }
    if kept.count == lines.count { return }
    try AtomicFile.write(to: url) { sink in
      var text: [UInt8] = []
      for line in kept {
        text += line.text
        text.append(10)
      }
      try sink.write(text)
    }
    file = try OpenFile(appending: url.path)
  }

  private func mendTail() throws {
    let size = try file.size()
    let longest = 1 << 24
    let block = 1 << 16
    var tail: [UInt8] = []
    while tail.count < size {
      let end = size - tail.count
      let part = try file.bytes(max(0, end - block)..<end)
      if let last = part.lastIndex(of: 10) {
        tail = part[(last + 1)...] + tail
        break
      }
      tail = part + tail
      if tail.count > longest {
        throw Refusal.badInput("\(url.path) is not a file of JSON lines: its last line is too long; move it away")
      }
    }
    if tail.isEmpty { return }
    if (try? RecordJSON.decode(Record.self, from: tail, at: url.path)) != nil {
      try file.append([10])
    } else {
      try file.truncate(to: size - tail.count)
    }
  }
}
