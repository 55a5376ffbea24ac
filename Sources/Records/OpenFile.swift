import Arrays
import FoundationEssentials
import Glibc

/// An open file descriptor, closed with the last reference; every error is a ``Refusal`` that names the path.
///
/// Reads and writes are complete or refused: short counts and interruptions are carried on. Reading is by position, so
/// that a file that shrinks meanwhile is an error and not a signal, as it would be through mapped memory.
package final class OpenFile: Sendable {
  package let path: String
  package let descriptor: Int32

  /// - Parameter kind: of a failure to open; nil where it depends on what the system says.
  private init(path: String, _ kind: Refusal.Kind?, cannot action: String, flags: Int32) throws {
    let descriptor = open(path, flags | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw Refusal.system(kind ?? Refusal.kind(of: errno), cannot: action, path) }
    self.path = path
    self.descriptor = descriptor
  }

  /// Opens an existing regular file; a folder, a pipe or a device is refused, without waiting for it.
  package convenience init(reading path: String) throws {
    try self.init(path: path, .badInput, cannot: "read", flags: O_RDONLY | O_NONBLOCK)
    guard try information().st_mode & S_IFMT == S_IFREG else {
      throw Refusal.badInput("cannot read \(path): it is not a regular file; give the path of a file")
    }
  }

  /// Makes a file that must not exist yet.
  package convenience init(creating path: String) throws {
    try self.init(path: path, .failed, cannot: "write", flags: O_WRONLY | O_CREAT | O_EXCL)
  }

  /// Opens a file for reading and for appending, and makes it if need be.
  package convenience init(appending path: String) throws {
    try self.init(path: path, nil, cannot: "write", flags: O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK)
  }

  /// A folder for this process alone, as long as the object lives, among those that ask so; the lock ends with the
  /// process, however that ends. A file system without locks (some NFS) gives everybody the folder.
  package convenience init(claiming folder: String) throws {
    try self.init(path: folder, .badInput, cannot: "open", flags: O_RDONLY | O_DIRECTORY)
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
      throw Refusal.badInput("\(folder) is in use by another process; wait for it to end, or choose another --out")
    }
  }

  deinit { close(descriptor) }

  private func information() throws -> stat {
    var information = stat()
    guard fstat(descriptor, &information) == 0 else { throw Refusal.system(.failed, cannot: "inspect", path) }
    return information
  }

  package func size() throws -> Int { Int(try information().st_size) }

  /// Fills `buffer` from byte `offset` on; refused if the file ends before.
  package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    var done = 0
    while done < buffer.count {
      let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
      if count == 0 { throw Refusal.badInput("\(path) ended early while it was read; get a complete copy of it") }
      if count > 0 {
        done += count
      } else if errno != EINTR {
        throw Refusal.system(.failed, cannot: "read", path)
      }
    }
  }

  package func bytes(_ range: Range<Int>) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
      try read(
        into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<range.count]),
        at: range.lowerBound)
      count = range.count
    }
  }

  /// The whole file; refused above `limit` bytes.
  package func contents(limit: Int = 1 << 30) throws -> [UInt8] {
    let size = try size()
    guard size <= limit else {
      throw Refusal.badInput("\(path) has \(size) bytes, more than the \(limit) that are read at once; check the file")
    }
    return try bytes(0..<size)
  }

  package func write(_ bytes: some ContiguousBytes) throws {
    try bytes.withUnsafeBytes { bytes in
      var done = 0
      while done < bytes.count {
        let count = Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
        if count >= 0 {
          done += count
        } else if errno != EINTR {
          throw Refusal.system(.failed, cannot: "write", path)
        }
      }
    }
  }

  /// Appends all of `bytes`, by one call of the system where it takes them, or leaves the file as it was.
  package func append(_ bytes: some ContiguousBytes) throws {
    let size = try size()
    do {
      try write(bytes)
    } catch {
      _ = ftruncate(descriptor, off_t(size))
      throw error
    }
  }

  package func truncate(to size: Int) throws {
    guard ftruncate(descriptor, off_t(size)) == 0 else { throw Refusal.system(.failed, cannot: "write", path) }
  }

  /// Returns when the contents are on the disk.
  package func sync() throws {
    guard fsync(descriptor) == 0 else { throw Refusal.system(.failed, cannot: "write", path) }
  }

  /// Returns when the names in a folder, or the contents of a file, are on the disk. File systems that cannot do this
  /// for folders say EINVAL, and are taken at their word.
  package static func sync(path: String) throws {
    let file = try OpenFile(path: path, .failed, cannot: "write", flags: O_RDONLY | O_NONBLOCK)
    guard fsync(file.descriptor) == 0 || errno == EINVAL else { throw Refusal.system(.failed, cannot: "write", path) }
  }
}
