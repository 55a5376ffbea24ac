import Arrays
import Foundation

/// A recorded JSON or JSON Lines file, read whole: every line is a valid record or the file is refused.
///
/// A refusal names the file and the line. Files above ``largestBytes`` are refused before they are read.
package struct RecordFile {
  package static let largestBytes = 1 << 28

  package let url: URL

  package init(_ url: URL) {
    self.url = url
  }

  package var exists: Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) && !isDirectory.boolValue
  }

  /// The one record of a `.json` file; `fault` says what is wrong with a record that decodes, or nil.
  package func record<Record: Decodable>(_ type: Record.Type, fault: (Record) -> String?) throws -> Record {
    let data = try bytes()
    let record: Record
    do {
      record = try JSONDecoder().decode(type, from: data)
    } catch {
      throw Refusal.badInput(
        "\(url.path) cannot be read as a \(type) (\(Self.reason(error))); restore the file or record it again")
    }
    if let fault = fault(record) {
      throw Refusal.badInput("\(url.path) is not usable: \(fault); restore the file or record it again")
    }
    return record
  }

  /// The records of a `.jsonl` file, blank lines skipped.
  ///
  /// - Parameter mayEndCut: true lets an unterminated last line that does not decode pass, as a writer that was
  ///   stopped leaves it; `isCut` then tells so.
  package func lines<Record: Decodable>(
    _ type: Record.Type, mayEndCut: Bool = false, fault: (Record) -> String?
  ) throws -> (records: [Record], isCut: Bool) {
    let data = try bytes()
    let decoder = JSONDecoder()
    var records: [Record] = []
    var start = data.startIndex
    var number = 0
    while start < data.endIndex {
      number += 1
      let end = data[start...].firstIndex(of: 0x0A) ?? data.endIndex
      let line = data[start..<end]
      start = end < data.endIndex ? data.index(after: end) : end
      if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
      do {
        let record = try decoder.decode(type, from: Data(line))
        if let fault = fault(record) {
          throw Refusal.badInput("\(url.path), line \(number), is not usable: \(fault); delete or repair the line")
        }
        records.append(record)
      } catch let refusal as Refusal {
        throw refusal
      } catch {
        if mayEndCut && end == data.endIndex { return (records, true) }
        throw Refusal.badInput(
          "\(url.path), line \(number), is not a \(type) (\(Self.reason(error))); delete or repair the line")
      }
    }
    return (records, false)
  }

  private func bytes() throws -> Data {
    guard exists else {
      throw Refusal.badInput("\(url.path) does not exist or is not a file; give the directory of a survey")
    }
    let attributes = try? FileManager.default.attributesOfItem(atPath: url.path)
    let size = (attributes?[.size] as? NSNumber)?.int64Value ?? 0
    guard size <= Int64(Self.largestBytes) else {
      throw Refusal.badInput(
        "\(url.path) has \(size) bytes, more than the \(Self.largestBytes) that a record file may have; split the survey"
      )
    }
    do {
      return try Data(contentsOf: url)
    } catch {
      throw Refusal.badInput("\(url.path) cannot be read; check its permissions")
    }
  }

  private static func reason(_ error: any Error) -> String {
    func place(_ path: [any CodingKey]) -> String {
      path.isEmpty ? "" : " at " + path.map(\.stringValue).joined(separator: ".")
    }
    switch error as? DecodingError {
    case .keyNotFound(let key, let context): return "no \"\(key.stringValue)\"" + place(context.codingPath)
    case .typeMismatch(_, let context): return "wrong type" + place(context.codingPath)
    case .valueNotFound(_, let context): return "null" + place(context.codingPath)
    case .dataCorrupted(let context) where !context.codingPath.isEmpty:
      return "value out of range" + place(context.codingPath)
    default: return "not valid JSON"
    }
  }
}
