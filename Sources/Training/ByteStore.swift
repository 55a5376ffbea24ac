import Arrays
import Foundation
import Records

/// Bytes that were written once and are read at any place: in memory while they are few, else in a file without a name,
/// which is gone with the process however it ends.
///
/// Reading is by position and never through mapped memory, so that a file which shrinks meanwhile is a refusal and not a
/// signal; what is read often stays in the system's own memory of the file.
package struct ByteStore: Sendable {
  private enum Place: Sendable {
    case memory([UInt8])
    case file(OpenFile)
  }

  private let place: Place
  package let count: Int

  package init(_ bytes: [UInt8]) {
    place = .memory(bytes)
    count = bytes.count
  }

  package init(_ file: OpenFile) throws {
    place = .file(file)
    count = try file.size()
  }

  /// Fills `buffer` from byte `offset` on, all of it inside the store.
  package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    precondition(offset >= 0 && buffer.count <= count - offset, "a place beyond the store")
    switch place {
    case .memory(let bytes): buffer.copyBytes(from: bytes[offset..<offset + buffer.count])
    case .file(let file): try file.read(into: buffer, at: offset)
    }
  }

  package func bytes(_ range: Range<Int>) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: range.count) { buffer, filled in
      try read(
        into: UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: buffer[..<range.count])),
        at: range.lowerBound)
      filled = range.count
    }
  }

  /// Calls `body` with one piece after the other of a range, a megabyte each at most.
  package func forEachPiece(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { block.deallocate() }
    for start in stride(from: range.lowerBound, to: range.upperBound, by: block.count) {
      let part = UnsafeMutableRawBufferPointer(rebasing: block[..<min(block.count, range.upperBound - start)])
      try read(into: part, at: start)
      try body(UnsafeRawBufferPointer(part))
    }
  }
}

/// Fills a ``ByteStore``.
package struct ByteStoreWriter {
  /// What is held in memory before a file is made.
  package static let memoryLimit = 1 << 28

  private var bytes: [UInt8] = []
  private var file: OpenFile?
  private let limit: Int
  package private(set) var count = 0

  package init(memoryLimit: Int = ByteStoreWriter.memoryLimit) { limit = memoryLimit }

  package mutating func append(_ piece: UnsafeRawBufferPointer) throws {
    bytes.append(contentsOf: piece)
    count += piece.count
    if bytes.count > limit || file != nil && bytes.count >= 1 << 20 { try flush() }
  }

  package mutating func append(_ piece: [UInt8]) throws { try piece.withUnsafeBytes { try append($0) } }

  private mutating func flush() throws {
    let file = try file ?? Self.namelessFile()
    self.file = file
    try file.append(bytes)
    bytes = []
  }

  package mutating func finish() throws -> ByteStore {
    if file == nil { return ByteStore(bytes) }
    try flush()
    return try ByteStore(file!)
  }

  /// In a folder of its own, which nobody else may enter, for as long as the file has a name.
  private static func namelessFile() throws -> OpenFile {
    // Not /tmp, which may itself be memory.
    let place = ProcessInfo.processInfo.environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/var/tmp"
    var template = Array("\(place)/filigree-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Refusal.system(.failed, cannot: "make a temporary folder in", place) }
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { rmdir(folder) }
    let file = try OpenFile(appending: folder + "/tokens")
    unlink(folder + "/tokens")
    return file
  }
}
