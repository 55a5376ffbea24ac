import Arrays
import Foundation

/// The text of files and directories, one after another, as UTF-8 with LF line ends, piece by piece.
///
/// Directories are walked by ``FileTree``; gzip and zstd are unpacked (``ByteSources``); of JSON lines (`.jsonl`, `.ndjson`)
/// one field is taken (``DocumentLines``); every text is decoded by ``TextDecoder``. Where a file does not end its last
/// line, a newline is added before the next file, so that two files never share a line. A path that does not exist and
/// holds `*`, `?` or `[` is a glob.
/// - Refused, in one sentence that names the path: nothing there; unreadable; neither file nor directory; a directory
///   without text; a file named on its own that is empty; NUL bytes or ill-formed UTF-8, with the byte's offset; more
///   than `limit` bytes altogether; damaged packing; a line without the field.
/// - Empty files inside a directory are passed over and counted. A file with a byte-order mark and no more is empty.
package struct TextFiles: Sendable {
  package struct Counts: Sendable, Equatable {
    /// Files whose text is in the buffer.
    package var files = 0
    /// Their size, unpacked, before anything was changed.
    package var bytesRead = 0
    package var byteOrderMarks = 0
    /// CRLF and lone CR that became LF.
    package var lineEndsChanged = 0
    package var newlinesAdded = 0
    package var emptyFilesSkipped = 0
    /// Further links to a file that is in the buffer already.
    package var repeatedFilesSkipped = 0
    /// Bytes that were not UTF-8 and became U+FFFD.
    package var bytesReplaced = 0
    /// Of JSON lines.
    package var documents = 0
  }

  package struct Options: Sendable {
    /// What is taken of a JSON line.
    package var field = "text"
    /// Whether bytes that are not UTF-8 become U+FFFD instead of being refused.
    package var replacesInvalid = false
    /// Whether it is kept where documents end, for tokenizers that have a token to say so.
    package var marksDocuments = true
    package var limit = TextFiles.defaultLimit

    package init() {}
  }

  package static let defaultLimit = 1 << 40

  package private(set) var bytes: [UInt8] = []
  package private(set) var counts = Counts()

  /// All in memory: for texts that are small.
  package init(reading paths: [String], limit: Int = TextFiles.defaultLimit) throws {
    var options = Options()
    options.limit = limit
    var bytes: [UInt8] = []
    counts = try Self.read(paths, options) { bytes.append(contentsOf: $0) }
    self.bytes = bytes
  }

  /// Reads `paths` in the order given, a path given twice twice, and hands the text to `sink`.
  /// - Parameter documentEnd: called with the bytes handed over so far wherever a document has ended: a file, or a line of
  ///   JSON lines. A newline between two files belongs to the first.
  package static func read(
    _ paths: [String], _ options: Options = Options(), documentEnd: (Int) throws -> Void = { _ in },
    into sink: (UnsafeRawBufferPointer) throws -> Void
  ) throws -> Counts {
    try withoutActuallyEscaping(documentEnd) { documentEnd in
      try withoutActuallyEscaping(sink) { sink in try read(paths, TextReading(options, documentEnd, sink)) }
    }
  }

  private static func read(_ paths: [String], _ new: TextReading) throws -> Counts {
    var reading = new
    defer { reading.piece.deallocate() }
    for name in try paths.flatMap(FileTree.matches) {
      guard let path = FileTree.Path(name) else {
        throw Refusal.badInput("\(name.debugDescription) is not a path: give a file or a directory of text")
      }
      switch try path.look().kind {
      case .file:
        if try !reading.append(path, advice: "convert it to UTF-8 or leave it out") {
          throw Refusal.badInput("the file \(path.quoted) is empty: give a file with text")
        }
      case .folder: try reading.append(folder: path)
      case .other:
        throw Refusal.badInput("\(path.quoted) is neither a file nor a directory: save its text to a file first")
      }
    }
    try reading.endDocument()
    return reading.counts
  }
}

/// ``TextFiles`` at work.
private struct TextReading {
  let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
  private let options: TextFiles.Options
  private let documentEnd: (Int) throws -> Void
  private let sink: (UnsafeRawBufferPointer) throws -> Void
  private(set) var counts = TextFiles.Counts()
  private var total = 0
  private var last: UInt8 = 0x0a

  init(
    _ options: TextFiles.Options, _ documentEnd: @escaping (Int) throws -> Void,
    _ sink: @escaping (UnsafeRawBufferPointer) throws -> Void
  ) {
    self.options = options
    self.documentEnd = documentEnd
    self.sink = sink
  }

  func endDocument() throws {
    if total > 0 { try documentEnd(total) }
  }

  mutating func append(folder: FileTree.Path) throws {
    let before = counts
    var tree = FileTree(folder)
    while let path = try tree.next() {
      let advice = "convert it to UTF-8 or move it out of the directory \(folder.quoted)"
      if try !append(path, advice: advice) { counts.emptyFilesSkipped += 1 }
    }
    counts.repeatedFilesSkipped += tree.repeatedFiles
    guard counts.files > before.files else {
      let found =
        counts.emptyFilesSkipped > before.emptyFilesSkipped
        ? "empty files only" : "no files (hidden ones are not read)"
      throw Refusal.badInput("the directory \(folder.quoted) has \(found): give a directory with text files")
    }
  }

  /// Appends the text of one regular file; false where it has none.
  mutating func append(_ path: FileTree.Path, advice: String) throws -> Bool {
    // A pipe that has taken the file's place since it was looked at must not block.
    let descriptor = open(path.characters, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw path.refusal(errno) }
    defer { close(descriptor) }
    var information = stat()
    guard fstat(descriptor, &information) == 0 else { throw path.refusal(errno) }
    guard FileTree.Path.Kind(mode: information.st_mode) == .file else {
      throw Refusal.badInput("\(path.quoted) is no longer a file: name the text files again")
    }
    let source = try ByteSources.source(descriptor, path)
    var decoder = TextDecoder()
    var mender = TextMender()
    var lines = path.isJSONLines ? DocumentLines(field: options.field, quoted: path.quoted) : nil
    var isEmpty = true
    var size = 0
    do {
      while true {
        let filled = try source.read(into: piece)
        size += filled
        let bytes = UnsafeMutableRawBufferPointer(rebasing: piece[..<filled])
        if options.replacesInvalid {
          var text = mender.mend(UnsafeRawBufferPointer(bytes))
          if filled < piece.count { text += mender.finish() }
          try text.withUnsafeMutableBytes { try take($0, &decoder, &lines, path, &isEmpty) }
        } else if filled > 0 {
          try take(bytes, &decoder, &lines, path, &isEmpty)
        }
        if filled < piece.count { break }
      }
      try decoder.finish()
    } catch TextDecoder.Fault.nul(let offset) {
      throw Refusal.badInput("\(path.quoted) is not text, having a NUL byte at offset \(offset): \(advice)")
    } catch TextDecoder.Fault.illFormed(let offset) {
      throw Refusal.badInput("\(path.quoted) is not UTF-8 at byte offset \(offset): \(advice)")
    }
    if lines != nil {
      try lines?.finish { try emit($0, path, &isEmpty, isDocument: true) }
      counts.documents += lines?.documents ?? 0
    }
    if isEmpty { return false }
    counts.files += 1
    counts.bytesRead += size
    counts.byteOrderMarks += decoder.byteOrderMarks
    counts.lineEndsChanged += decoder.lineEndsChanged
    counts.bytesReplaced += mender.replaced
    return true
  }

  private mutating func take(
    _ bytes: UnsafeMutableRawBufferPointer, _ decoder: inout TextDecoder, _ lines: inout DocumentLines?,
    _ path: FileTree.Path, _ isEmpty: inout Bool
  ) throws {
    let kept = try decoder.decode(bytes)
    let text = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[..<kept])
    if lines == nil {
      try emit(text, path, &isEmpty)
    } else {
      try lines?.take(text) { try emit($0, path, &isEmpty, isDocument: true) }
    }
  }

  /// - Parameter isDocument: whether the text is one; else the file is.
  private mutating func emit(
    _ text: UnsafeRawBufferPointer, _ path: FileTree.Path, _ isEmpty: inout Bool, isDocument: Bool = false
  ) throws {
    guard let end = text.last else { return }
    let needsNewline = isEmpty && last != 0x0a
    guard text.count <= options.limit - total - (needsNewline ? 1 : 0) else {
      throw Refusal.badInput("with \(path.quoted) the text exceeds \(options.limit) bytes: give fewer files")
    }
    if needsNewline {
      try [UInt8(0x0a)].withUnsafeBytes { try sink($0) }
      counts.newlinesAdded += 1
      total += 1
    }
    if isEmpty || isDocument { try endDocument() }
    isEmpty = false
    total += text.count
    last = end
    try sink(text)
  }
}

extension FileTree.Path {
  /// By its name, packed or not.
  fileprivate var isJSONLines: Bool {
    let name = characters.dropLast().map { UInt8(bitPattern: $0) }
    return ["", ".gz", ".zst"].contains { packing in
      [".jsonl", ".ndjson"].contains { ending in
        name.suffix(ending.utf8.count + packing.utf8.count).elementsEqual((ending + packing).utf8)
      }
    }
  }
}

extension FileTree {
  /// The paths that a glob names, in the order of their bytes; the path itself where it exists or is no glob.
  package static func matches(_ name: String) throws -> [String] {
    guard name.contains(where: { "*?[".contains($0) }), let path = Path(name), access(path.characters, F_OK) != 0 else {
      return [name]
    }
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(path.characters, GLOB_ERR | GLOB_NOSORT, nil, &found) == 0 else {
      throw Refusal.badInput("nothing matches \(path.quoted): check the pattern")
    }
    let names = (0..<Int(found.gl_pathc)).compactMap { index in found.gl_pathv[index].map { String(cString: $0) } }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}
