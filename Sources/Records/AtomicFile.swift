import Arrays
import FoundationEssentials
import Glibc

/// Files and folders that appear whole or not at all, whatever fails and whenever the power goes.
///
/// Everything is written beside its place under a partial name, synced, renamed, and the folder synced. On any failure
/// the partial is removed and what was there before is untouched.
package enum AtomicFile {
  @discardableResult
  package static func write(_ bytes: some ContiguousBytes, to url: URL) throws -> FileDigest {
    try write(to: url) { try $0.write(bytes) }
  }

  /// The file that `body` writes piece by piece.
  @discardableResult
  package static func write(to url: URL, _ body: (FileSink) throws -> Void) throws -> FileDigest {
    try replace(url, sweepingAll: false) { partial in
      let file = try OpenFile(creating: partial)
      let sink = FileSink(file)
      try body(sink)
      try file.sync()
      return sink.digest
    }
  }

  /// The folder that `body` fills; one that exists is replaced.
  ///
  /// Stale partials of `url` are removed first; where `ownsParent`, the parent holds nothing but such folders, and every
  /// stale partial in it goes.
  package static func writeFolder(to url: URL, ownsParent: Bool = false, _ body: (URL) throws -> Void) throws {
    try replace(url, sweepingAll: ownsParent) { partial in
      guard mkdir(partial, 0o777) == 0 else { throw Refusal.system(.failed, cannot: "make the folder", partial) }
      try body(URL(filePath: partial, directoryHint: .isDirectory))
      for inner in try FileManager.default.subpathsOfDirectory(atPath: partial) {
        try OpenFile.sync(path: "\(partial)/\(inner)")
      }
      try OpenFile.sync(path: partial)
    }
  }

  /// Makes a folder, and those above it that are missing; one that is there already is left alone.
  package static func makeFolder(_ url: URL) throws {
    let path = path(of: url)
    if mkdir(path, 0o777) == 0 { return }
    var code = errno
    if code == EEXIST {
      var isFolder = false
      if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder { return }
      code = ENOTDIR
    }
    let parent = URL(filePath: path).deletingLastPathComponent()
    if code == ENOENT, parent.path != path {
      try makeFolder(parent)
      if mkdir(path, 0o777) == 0 || errno == EEXIST { return }
      code = errno
    }
    throw Refusal.system(Refusal.kind(of: code), cannot: "make the folder", path, code)
  }

  /// Removes a folder under another name, so that half of it never looks like the whole.
  package static func removeFolder(_ url: URL) throws {
    let path = path(of: url)
    let partial = PartialName.claim(for: path)
    defer { PartialName.release(partial) }
    guard rename(path, partial) == 0 else { throw Refusal.system(.failed, cannot: "remove", path) }
    try? FileManager.default.removeItem(atPath: partial)
  }

  /// Absolute, without a slash at the end.
  private static func path(of url: URL) -> String {
    let path = url.standardizedFileURL.path
    return path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
  }

  private static func replace<Result>(
    _ url: URL, sweepingAll: Bool, _ make: (_ partial: String) throws -> Result
  ) throws -> Result {
    let path = path(of: url)
    let place = URL(filePath: path)
    let parent = place.deletingLastPathComponent().path
    PartialName.removeStale(in: parent, of: sweepingAll ? nil : place.lastPathComponent)
    let partial = PartialName.claim(for: path)
    defer { PartialName.release(partial) }
    do {
      let result = try make(partial)
      try move(partial, to: path)
      try OpenFile.sync(path: parent)
      return result
    } catch {
      try? FileManager.default.removeItem(atPath: partial)
      if error is Refusal { throw error }
      throw Refusal.failed("cannot write \(path): \(error)")
    }
  }

  /// A folder that is not empty cannot be renamed onto: the two change places in one step, and then the old one goes.
  ///
  /// Where the file system cannot exchange names (NFS), the old folder steps aside first, and a power cut between the two
  /// renames leaves neither under that name.
  private static func move(_ partial: String, to path: String) throws {
    if rename(partial, path) == 0 { return }
    guard errno == ENOTEMPTY || errno == EEXIST else { throw Refusal.system(.failed, cannot: "write", path) }
    if exchangeNames(partial, path) {
      try? FileManager.default.removeItem(atPath: partial)
      return
    }
    let aside = PartialName.claim(for: path)
    defer { PartialName.release(aside) }
    guard rename(path, aside) == 0 else { throw Refusal.system(.failed, cannot: "replace", path) }
    guard rename(partial, path) == 0 else {
      let code = errno
      rename(aside, path)
      throw Refusal.system(.failed, cannot: "replace", path, code)
    }
    try? FileManager.default.removeItem(atPath: aside)
  }

  /// renameat2 with RENAME_EXCHANGE, looked up at run time because Swift's Glibc module does not declare it.
  private static func exchangeNames(_ first: String, _ second: String) -> Bool {
    typealias Rename = @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
    guard let symbol = dlsym(nil, "renameat2") else { return false }
    let exchange: UInt32 = 2
    return unsafeBitCast(symbol, to: Rename.self)(AT_FDCWD, first, AT_FDCWD, second, exchange) == 0
  }
}
