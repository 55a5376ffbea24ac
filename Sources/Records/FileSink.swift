import FoundationEssentials

/// What identifies a file's contents: its length in bytes and their CRC-32C (eight hexadecimal digits).
package struct FileDigest: Codable, Sendable, Equatable {
  package let bytes: Int
  package let crc32c: String

  package init(bytes: Int, crc32c: UInt32) {
    self.bytes = bytes
    self.crc32c = CRC32C.text(crc32c)
  }

  /// Reads the file once, a megabyte at a time.
  package init(of file: OpenFile) throws {
    let size = try file.size()
    var crc = CRC32C()
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { block.deallocate() }
    for start in stride(from: 0, to: size, by: block.count) {
      let part = UnsafeMutableRawBufferPointer(rebasing: block[..<min(block.count, size - start)])
      try file.read(into: part, at: start)
      crc.update(UnsafeRawBufferPointer(part))
    }
    self.init(bytes: size, crc32c: crc.value)
  }
}

/// Writes a file from beginning to end and keeps the digest of what it wrote, so that nothing need be read again.
package final class FileSink {
  private let file: OpenFile
  private var crc = CRC32C()
  private var count = 0

  package init(_ file: OpenFile) { self.file = file }

  package func write(_ bytes: some ContiguousBytes) throws {
    try bytes.withUnsafeBytes { bytes in
      try file.write(bytes)
      crc.update(bytes)
      count += bytes.count
    }
  }

  package var digest: FileDigest { FileDigest(bytes: count, crc32c: crc.value) }
}
