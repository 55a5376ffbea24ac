import Arrays
import Foundation

/// The regular files below a directory, each once, in the order of their names' bytes, a directory's content standing
/// where its name does.
///
/// Names that begin with a dot, sockets, pipes and devices are passed over. Symbolic links are followed, and whatever is
/// met a second time (through a link, or a second hard link) is passed over, so that a loop of links ends.
/// Refused: a directory that cannot be listed, a link to nothing.
package struct FileTree {
  /// A path as the system has it, zero-terminated: a name need not be UTF-8.
  package struct Path: Sendable, Equatable {
    package let characters: [CChar]

    /// Nil where the string itself contains NUL, which no path can.
    package init?(_ string: String) {
      if string.utf8.contains(0) || string.isEmpty { return nil }
      characters = Array(string.utf8CString)
    }

    fileprivate init(_ folder: Path, _ name: [CChar]) {
      let slash = CChar(bitPattern: UInt8(ascii: "/"))
      var characters = folder.characters
      characters.removeLast()
      if characters.last != slash { characters.append(slash) }
      self.characters = characters + name + [0]
    }

    /// In quotation marks, control characters escaped: fit to stand in a sentence.
    package var quoted: String {
      String(decoding: characters.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self).debugDescription
    }

    package enum Kind: Sendable { case file, folder, other }

    package struct Identity: Hashable, Sendable {
      let device: UInt64
      let inode: UInt64
    }

    /// What stands at the path, links followed; refused where nothing does.
    package func look() throws -> (kind: Kind, identity: Identity) {
      var information = stat()
      guard stat(characters, &information) == 0 else { throw refusal(errno) }
      let identity = Identity(device: UInt64(information.st_dev), inode: UInt64(information.st_ino))
      return (Kind(mode: information.st_mode), identity)
    }

    package func refusal(_ code: Int32) -> Refusal {
      if code == ENOENT || code == ENOTDIR {
        return .badInput("there is nothing at \(quoted): check the path of the text")
      }
      let advice =
        code == EACCES || code == EPERM ? "allow this user to read it" : "check the path, or give another text"
      return .badInput("cannot read \(quoted): \(String(cString: strerror(code))); \(advice)")
    }
  }

  /// Files passed over because they had been met before.
  package private(set) var repeatedFiles = 0
  /// Still to be looked at, the next one last.
  private var pending: [Path]
  private var met = Set<Path.Identity>()

  /// Every regular file that the names stand for: files, directories and globs. What is no path is left to the reader.
  static func identities(below names: [String]) throws -> [Path.Identity: Path] {
    var all: [Path.Identity: Path] = [:]
    for name in try names.flatMap(FileTree.matches) {
      guard let root = Path(name) else { continue }
      var tree = FileTree(root)
      while let path = try tree.next() { all[try path.look().identity] = path }
    }
    return all
  }

  package init(_ root: Path) { pending = [root] }

  package mutating func next() throws -> Path? {
    while let path = pending.popLast() {
      let (kind, identity) = try path.look()
      if kind == .other { continue }
      if !met.insert(identity).inserted {
        if kind == .file { repeatedFiles += 1 }
        continue
      }
      if kind == .file { return path }
      pending += try FileTree.names(in: path).map { Path(path, $0) }
    }
    return nil
  }

  /// The names in a directory that are not hidden, in descending order of their bytes.
  private static func names(in folder: Path) throws -> [[CChar]] {
    guard let handle = opendir(folder.characters) else { throw folder.refusal(errno) }
    defer { closedir(handle) }
    let offset = MemoryLayout<dirent>.offset(of: \.d_name)!
    var names: [[CChar]] = []
    while true {
      errno = 0
      guard let entry = readdir(handle) else {
        if errno != 0 { throw folder.refusal(errno) }
        break
      }
      let name = (UnsafeRawPointer(entry) + offset).assumingMemoryBound(to: CChar.self)
      if name[0] == CChar(bitPattern: UInt8(ascii: ".")) { continue }
      names.append(Array(UnsafeBufferPointer(start: name, count: strlen(name))))
    }
    return names.sorted { first, second in
      second.lexicographicallyPrecedes(first) { UInt8(bitPattern: $0) < UInt8(bitPattern: $1) }
    }
  }
}

extension FileTree.Path.Kind {
  package init(mode: mode_t) {
    switch mode & S_IFMT {
    case S_IFREG: self = .file
    case S_IFDIR: self = .folder
    default: self = .other
    }
  }
}
