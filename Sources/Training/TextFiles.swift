import Arrays
import Foundation

/// The text of files and directories, one after another, as one buffer of UTF-8 with LF line ends.
///
/// Directories are walked by ``FileTree``; every file is decoded by ``TextDecoder``. Where a file does not end its last
/// line, a newline is added before the next file, so that two files never share a line.
/// - Refused, in one sentence that names the path: nothing there; unreadable; neither file nor directory; a directory
///   without text; a file named on its own that is empty; NUL bytes or ill-formed UTF-8, with the byte's offset; more
///   than `limit` bytes altogether.
/// - Empty files inside a directory are passed over and counted. A file with a byte-order mark and no more is empty.
package struct TextFiles: Sendable {
  package struct Counts: Sendable, Equatable {
    /// Files whose text is in the buffer.
    package var files = 0
    /// Their size before anything was changed.
    package var bytesRead = 0
    package var byteOrderMarks = 0
    /// CRLF and lone CR that became LF.
    package var lineEndsChanged = 0
    package var newlinesAdded = 0
    package var emptyFilesSkipped = 0
    /// Further links to a file that is in the buffer already.
    package var repeatedFilesSkipped = 0
  }

  package static let defaultLimit = 1 << 32

  package private(set) var bytes: [UInt8] = []
  package private(set) var counts = Counts()

  /// Reads `paths` in the order given; a path given twice is read twice.
  package init(reading paths: [String], limit: Int = TextFiles.defaultLimit) throws {
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { piece.deallocate() }
    for name in paths {
      guard let path = FileTree.Path(name) else {
        throw Refusal.badInput("\(name.debugDescription) is not a path: give a file or a directory of text.")
      }
      switch try path.look().kind {
      case .file:
        if try !append(path, limit: limit, through: piece, advice: "convert it to UTF-8 or leave it out") {
          throw Refusal.badInput("The file \(path.quoted) is empty: give a file with text.")
        }
      case .folder: try append(folder: path, limit: limit, through: piece)
      case .other:
        throw Refusal.badInput("\(path.quoted) is neither a file nor a directory: save its text to a file first.")
      }
    }
  }

  private mutating func append(
    folder: FileTree.Path, limit: Int, through piece: UnsafeMutableRawBufferPointer
  ) throws {
    let before = counts
    var tree = FileTree(folder)
    while let path = try tree.next() {
      let advice = "convert it to UTF-8 or move it out of the directory \(folder.quoted)"
      if try !append(path, limit: limit, through: piece, advice: advice) { counts.emptyFilesSkipped += 1 }
    }
    counts.repeatedFilesSkipped += tree.repeatedFiles
    guard counts.files > before.files else {
      let found =
        counts.emptyFilesSkipped > before.emptyFilesSkipped
        ? "empty files only" : "no files (hidden ones are not read)"
      throw Refusal.badInput("The directory \(folder.quoted) has \(found): give a directory with text files.")
    }
  }

  /// Appends the text of one regular file; false where it has none.
  private mutating func append(
    _ path: FileTree.Path, limit: Int, through piece: UnsafeMutableRawBufferPointer, advice: String
  ) throws -> Bool {
    // A pipe that has taken the file's place since it was looked at must not block.
    let descriptor = open(path.characters, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw path.refusal(errno) }
    defer { close(descriptor) }
    var information = stat()
    guard fstat(descriptor, &information) == 0 else { throw path.refusal(errno) }
    guard FileTree.Path.Kind(mode: information.st_mode) == .file else {
      throw Refusal.badInput("\(path.quoted) is no longer a file: name the text files again.")
    }

    var decoder = TextDecoder()
    var isEmpty = true
    do {
      while true {
        let filled = try TextFiles.fill(piece, from: descriptor, path)
        if filled == 0 { break }
        let kept = try decoder.decode(UnsafeMutableRawBufferPointer(rebasing: piece[..<filled]))
        if kept > 0, isEmpty {
          isEmpty = false
          if let last = bytes.last, last != UInt8(ascii: "\n") {
            bytes.append(UInt8(ascii: "\n"))
            counts.newlinesAdded += 1
          }
        }
        guard kept <= limit - bytes.count else {
          throw Refusal.badInput("With \(path.quoted) the text exceeds \(limit) bytes: give fewer files.")
        }
        bytes.append(contentsOf: piece[..<kept])
        if filled < piece.count { break }
      }
      try decoder.finish()
    } catch TextDecoder.Fault.nul(let offset) {
      throw Refusal.badInput("\(path.quoted) is not text, having a NUL byte at offset \(offset): \(advice).")
    } catch TextDecoder.Fault.illFormed(let offset) {
      throw Refusal.badInput("\(path.quoted) is not UTF-8 at byte offset \(offset): \(advice).")
    }
    if isEmpty { return false }
    counts.files += 1
    counts.bytesRead += decoder.bytesRead
    counts.byteOrderMarks += decoder.byteOrderMarks
    counts.lineEndsChanged += decoder.lineEndsChanged
    return true
  }

  /// Bytes read, fewer than `piece` holds only at the end of the file.
  private static func fill(
    _ piece: UnsafeMutableRawBufferPointer, from descriptor: Int32, _ path: FileTree.Path
  ) throws -> Int {
    var filled = 0
    while filled < piece.count {
      let count = read(descriptor, piece.baseAddress! + filled, piece.count - filled)
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
