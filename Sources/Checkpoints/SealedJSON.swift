import Arrays
import FoundationEssentials
import Records

/// A JSON file that notices any altered byte: its first field is the CRC-32C of the file with the field's digits zero.
///
///     {
///       "checksum" : "1a2b3c4d",
///       ...
///
/// The record must encode as an object without a field `checksum`; other readers of JSON see one field more.
package enum SealedJSON {
  private static let opening = Array("{\n  \"checksum\" : \"".utf8)
  private static let digits = opening.count..<opening.count + 8

  package static func write(_ record: some Encodable, to url: URL) throws {
    try AtomicFile.write(try bytes(of: record, for: url.path), to: url)
  }

  package static func read<Record: Decodable>(_ type: Record.Type, from url: URL) throws -> Record {
    try decode(type, from: try OpenFile(reading: url.path).contents(), path: url.path)
  }

  package static func bytes(of record: some Encodable, for path: String) throws -> [UInt8] {
    let json = try RecordJSON.indented(record, for: path)
    let hasChecksum = (try? JSONDecoder().decode([String: Anything].self, from: Data(json)))?.keys.contains("checksum")
    guard hasChecksum == false, json.first == UInt8(ascii: "{") else {
      throw Refusal.failed("cannot write \(path): what is sealed must be an object without a field 'checksum'")
    }
    let members = json.dropFirst().drop { $0 == 0x20 || $0 == 0x0A }
    let isEmpty = members.first == UInt8(ascii: "}")
    var bytes = opening
    bytes += Array((isEmpty ? "00000000\"\n}" : "00000000\",").utf8)
    if !isEmpty { bytes += json.dropFirst() }
    bytes.append(10)
    bytes.replaceSubrange(digits, with: Array(CRC32C.text(CRC32C.checksum(bytes)).utf8))
    return bytes
  }

  package static func decode<Record: Decodable>(_ type: Record.Type, from bytes: [UInt8], path: String) throws -> Record
  {
    var zeroed = bytes
    guard bytes.starts(with: opening), bytes.count > digits.upperBound else { throw damaged(path) }
    zeroed.replaceSubrange(digits, with: Array("00000000".utf8))
    guard bytes[digits].elementsEqual(CRC32C.text(CRC32C.checksum(zeroed)).utf8) else { throw damaged(path) }
    return try RecordJSON.decode(type, from: bytes, at: path)
  }

  private static func damaged(_ path: String) -> Refusal {
    .badInput("\(path) is damaged: its checksum does not match; use an older checkpoint")
  }

  private struct Anything: Decodable {
    init(from decoder: any Decoder) {}
  }
}
