import Arrays
import FoundationEssentials

/// The one way that records become text: sorted keys, slashes as they are, so that equal records are equal bytes.
package enum RecordJSON {
  /// On one line, without a newline.
  package static func line(_ record: some Encodable, for path: String) throws -> [UInt8] {
    try encode(record, [.sortedKeys, .withoutEscapingSlashes], path)
  }

  /// On indented lines, without a newline at the end.
  package static func indented(_ record: some Encodable, for path: String) throws -> [UInt8] {
    try encode(record, [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted], path)
  }

  private static func encode(
    _ record: some Encodable, _ formatting: JSONEncoder.OutputFormatting, _ path: String
  ) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = formatting
    do {
      return Array(try encoder.encode(record))
    } catch EncodingError.invalidValue(let value, let context) {
      throw Refusal.failed("cannot write \(path): \(name(context.codingPath)) is \(value), which JSON cannot hold")
    }
  }

  /// `place` begins the sentence of a refusal: a path, or a path and a line.
  package static func decode<Record: Decodable>(
    _ type: Record.Type, from bytes: some Collection<UInt8>, at place: String
  ) throws
    -> Record
  {
    do {
      return try JSONDecoder().decode(type, from: Data(bytes))
    } catch let error as DecodingError {
      let reason =
        switch error {
        case .keyNotFound(let key, let context): "\(name(context.codingPath + [key])) is missing"
        case .typeMismatch(let type, let context): "\(name(context.codingPath)) is not of type \(type)"
        case .valueNotFound(_, let context): "\(name(context.codingPath)) is null"
        case .dataCorrupted(let context):
          context.codingPath.isEmpty
            ? "it is not JSON, or holds a number out of range" : "\(name(context.codingPath)) is not a valid value"
        @unknown default: "it is not what was expected"
        }
      throw Refusal.badInput("\(place) cannot be understood: \(reason); correct it or remove it")
    }
  }

  /// An indented JSON file for people and tools, in one piece or not at all.
  package static func write(_ record: some Encodable, to url: URL) throws {
    try AtomicFile.write(try indented(record, for: url.path) + [10], to: url)
  }

  package static func read<Record: Decodable>(_ type: Record.Type, from url: URL) throws -> Record {
    try decode(type, from: OpenFile(reading: url.path).contents(), at: url.path)
  }

  /// "files.model[3]", cut short: keys may come from a file.
  private static func name(_ path: [any CodingKey]) -> String {
    if path.isEmpty { return "the whole" }
    var name = ""
    for key in path.prefix(8) {
      if let index = key.intValue { name += "[\(index)]" } else { name += (name.isEmpty ? "" : ".") + key.stringValue }
    }
    return "'\(name.prefix(80))'"
  }
}
