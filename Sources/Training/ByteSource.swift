import Arrays
import Foundation

/// The bytes of a file from beginning to end, packed ones unpacked on the way.
///
/// How a file is packed is told by its first bytes, none of which begin a UTF-8 text: 1F 8B is gzip, 28 B5 2F FD is zstd.
package protocol ByteSource: AnyObject {
  /// Bytes read; fewer than the buffer holds only at the end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

package enum ByteSources {
  /// - Parameter descriptor: of a regular file, at its beginning; stays the caller's.
  static func source(_ descriptor: Int32, _ path: FileTree.Path) throws -> any ByteSource {
    var magic = [UInt8](repeating: 0, count: 4)
    let count = pread(descriptor, &magic, 4, 0)
    guard count >= 0 else { throw path.refusal(errno) }
    let plain = PlainSource(descriptor, path)
    if count >= 2, magic[0] == 0x1f, magic[1] == 0x8b { return try GzipSource(plain, path.quoted) }
    if count == 4, magic == [0x28, 0xb5, 0x2f, 0xfd] { return try ZstdSource(plain, path.quoted) }
    return plain
  }

  /// Bytes in memory in place of a file.
  package static func source(_ bytes: [UInt8], quoted: String) throws -> any ByteSource {
    let plain = MemorySource(bytes)
    if bytes.starts(with: [0x1f, 0x8b]) { return try GzipSource(plain, quoted) }
    if bytes.starts(with: [0x28, 0xb5, 0x2f, 0xfd]) { return try ZstdSource(plain, quoted) }
    return plain
  }
}

final class PlainSource: ByteSource {
  private let descriptor: Int32
  private let path: FileTree.Path

  init(_ descriptor: Int32, _ path: FileTree.Path) {
    self.descriptor = descriptor
    self.path = path
  }

  package func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var filled = 0
    while filled < buffer.count {
      let count = Foundation.read(descriptor, buffer.baseAddress! + filled, buffer.count - filled)
      if count == 0 { break }
      if count > 0 {
        filled += count
      } else if errno != EINTR {
        throw path.refusal(errno)
      }
    }
    return filled
  }
}

final class MemorySource: ByteSource {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  package func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let count = min(buffer.count, bytes.count - position)
    buffer.copyBytes(from: bytes[position..<position + count])
    position += count
    return count
  }
}

/// What both packers need: a library opened at run time, the packed bytes in a buffer, and sentences.
struct PackedInput {
  private let source: any ByteSource
  let quoted: String
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)
  /// Bytes in the buffer, and how many of them were taken.
  var count = 0
  var position = 0

  init(_ source: any ByteSource, _ quoted: String) {
    self.source = source
    self.quoted = quoted
  }

  /// Whether there is more to take.
  mutating func refill() throws -> Bool {
    if position < count { return true }
    count = try source.read(into: buffer)
    position = 0
    return count > 0
  }

  func damaged(_ why: String) -> Refusal {
    .badInput("\(quoted) is damaged or cut short: \(why); get a good copy of it")
  }

  /// The functions of a library, or a refusal of kind `missing` that names the package it is in.
  static func functions(
    _ names: [String], of library: String, package: String, for quoted: String
  ) throws -> [UnsafeMutableRawPointer] {
    guard let handle = dlopen(library, RTLD_NOW | RTLD_LOCAL) else {
      throw Refusal.missing(
        "\(quoted) is packed and \(library) is not here: install the package \(package), or unpack it")
    }
    return try names.map { name in
      guard let function = dlsym(handle, name) else {
        throw Refusal.missing("\(quoted) is packed and \(library) lacks \(name): install a newer package \(package)")
      }
      return function
    }
  }
}
