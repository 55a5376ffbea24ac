import Arrays
import Records

/// JSON lines in, the text of one field of each out, every document ending its last line.
package struct DocumentLines {
  /// The longest line.
  static let longest = 1 << 26

  let field: String
  private let quoted: String
  private var line: [UInt8] = []
  private var number = 1
  package private(set) var documents = 0
  private(set) var emptyDocuments = 0

  package init(field: String, quoted: String) {
    self.field = field
    self.quoted = quoted
  }

  package mutating func take(_ piece: UnsafeRawBufferPointer, _ sink: (UnsafeRawBufferPointer) throws -> Void) throws {
    var rest = piece[...]
    while let end = rest.firstIndex(of: 0x0a) {
      line.append(contentsOf: rest[..<end])
      try finish(sink)
      rest = rest[(end + 1)...]
    }
    guard rest.count <= Self.longest - line.count else {
      throw Refusal.badInput("\(quoted), line \(number) is longer than \(Self.longest) bytes: is it JSON lines?")
    }
    line.append(contentsOf: rest)
  }

  /// The line that has come to its end.
  package mutating func finish(_ sink: (UnsafeRawBufferPointer) throws -> Void) throws {
    defer {
      line.removeAll(keepingCapacity: true)
      number += 1
    }
    if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 }) { return }
    let place = "\(quoted), line \(number)"
    let value = try JSONValue(parsing: line, at: place)
    guard value.members != nil, var text = value[field]?.bytes else {
      throw Refusal.badInput(
        "\(place) has no text in a field '\(field)': name the field with --text-field, or mend the line")
    }
    if text.isEmpty {
      emptyDocuments += 1
      return
    }
    var decoder = TextDecoder()
    do {
      let kept = try text.withUnsafeMutableBytes { bytes throws(TextDecoder.Fault) in try decoder.decode(bytes) }
      text.removeLast(text.count - kept)
    } catch {
      throw Refusal.badInput("\(place) has a NUL in its text: leave the line out")
    }
    if text.last.map({ $0 != 0x0a }) ?? false { text.append(0x0a) }
    documents += 1
    try text.withUnsafeBytes { try sink($0) }
  }
}
