import Arrays
import Foundation
import Testing
import Training

@Suite("Text files")
struct TextFilesTests {
  private func text(_ paths: [String], limit: Int = TextFiles.defaultLimit) throws -> String {
    String(decoding: try TextFiles(reading: paths, limit: limit).bytes, as: UTF8.self)
  }

  private func refused(_ paths: [String], limit: Int = TextFiles.defaultLimit) -> Refusal? {
    #expect(throws: Refusal.self) { try TextFiles(reading: paths, limit: limit) }
  }

  @Test("marks go, line ends become LF, files never share a line, and the counts say what was done")
  func normalises() throws {
    let folder = try TemporaryFolder()
    let first = try folder.write("first", "\u{feff}one\r\ntwo\rthree")
    let second = try folder.write("second", "four\n")
    let third = try folder.write("third", "\u{feff}fünf\r\n")
    let files = try TextFiles(reading: [first, second, third])
    #expect(String(decoding: files.bytes, as: UTF8.self) == "one\ntwo\nthree\nfour\nfünf\n")
    let counts = files.counts
    #expect(counts.files == 3 && counts.bytesRead == 17 + 5 + 10)
    #expect(counts.byteOrderMarks == 2 && counts.lineEndsChanged == 3 && counts.newlinesAdded == 1)
    #expect(counts.emptyFilesSkipped == 0 && counts.repeatedFilesSkipped == 0)
  }

  @Test("directories are read in the order of their names' bytes, to any depth, without hidden names")
  func walksInOrder() throws {
    let folder = try TemporaryFolder()
    for name in ["b/z", "b/a", "b/deep/er/x", "B", "a.txt", "a/1", "é", "c", ".hidden", "b/.git/config", ".h/x"] {
      try folder.write(name, name + "\n")
    }
    #expect(try text([folder.path]) == "B\na/1\na.txt\nb/a\nb/deep/er/x\nb/z\nc\né\n")
    #expect(try text([folder.path + "/", folder["c"]]).hasSuffix("é\nc\n"))
    #expect(try text([folder[".hidden"], folder[".h"]]) == ".hidden\n.h/x\n")
  }

  @Test("a text longer than any buffer arrives whole, with characters and line ends across every boundary")
  func longText() throws {
    let folder = try TemporaryFolder()
    let line = Array("\u{feff}naïve 𝄞 €\r\n".utf8)
    let kept = Array("\u{feff}naïve 𝄞 €\n".utf8)
    let count = (5 << 18) / line.count
    var (long, expected): ([UInt8], [UInt8]) = ([], [])
    for _ in 0..<count {
      long += line
      expected += kept
    }
    let files = try TextFiles(reading: [try folder.write("long", long)])
    #expect(files.bytes == Array(expected.dropFirst(3)))
    #expect(files.counts.lineEndsChanged == count && files.counts.byteOrderMarks == 1)
  }

  @Test("a file that is an exact multiple of the buffer is read to its end and no further")
  func exactBuffer() throws {
    let folder = try TemporaryFolder()
    let bytes = [UInt8](repeating: 0x61, count: 1 << 20)
    let path = try folder.write("exact", bytes)
    #expect(try TextFiles(reading: [path]).bytes == bytes)
  }

  @Test("links are followed, loops end, and a file with two names in a directory is read once")
  func links() throws {
    let folder = try TemporaryFolder()
    try folder.write("data/a", "a\n")
    try folder.write("elsewhere/b", "b\n")
    try folder.link("data/loop", to: folder["data"])
    try folder.link("data/up", to: "..")
    try folder.link("data/again", to: folder["data/a"])
    try folder.link("data/other", to: folder["elsewhere"])
    let files = try TextFiles(reading: [folder["data"]])
    #expect(String(decoding: files.bytes, as: UTF8.self) == "a\nb\n")
    #expect(files.counts.files == 2)
    #expect(files.counts.repeatedFilesSkipped > 0)
    #expect(try text([folder["data/a"], folder["data/a"]]) == "a\na\n")
  }

  @Test("directories that link to each other in every way are each read once")
  func manyLinks() throws {
    let folder = try TemporaryFolder()
    for level in 0..<30 {
      try folder.write("d\(level)/text", "\(level)\n")
      if level < 29 {
        try folder.link("d\(level)/left", to: folder["d\(level + 1)"])
        try folder.link("d\(level)/right", to: folder["d\(level + 1)"])
      }
    }
    #expect(try TextFiles(reading: [folder["d0"]]).counts.files == 30)
  }

  @Test("empty files in a directory are skipped and counted; a file with a mark only is empty too")
  func emptyInside() throws {
    let folder = try TemporaryFolder()
    try folder.write("a", "")
    try folder.write("b", "text")
    try folder.write("c", "\u{feff}")
    try folder.write("d", "more")
    let files = try TextFiles(reading: [folder.path])
    #expect(String(decoding: files.bytes, as: UTF8.self) == "text\nmore")
    #expect(files.counts.files == 2 && files.counts.emptyFilesSkipped == 2)
  }

  @Test("what is not there, empty, or no text is refused in one sentence that names it")
  func refusals() throws {
    let folder = try TemporaryFolder()
    let empty = try folder.write("empty", "")
    let mark = try folder.write("mark", "\u{feff}")
    let binary = try folder.write("binary", Array("abc".utf8) + [0, 1])
    let latin = try folder.write("in/latin", Array("na".utf8) + [0xef] + Array("ve".utf8))
    let cut = try folder.write("cut", Array("a€".utf8.dropLast()))
    try folder.write("hollow/empty", "")
    try folder.write("hidden/.text", "text")
    try folder.link("nowhere", to: folder["missing"])
    try folder.link("round", to: "round")
    let cases: [(path: String, part: String)] = [
      (folder["missing"], "nothing at"), (empty + "/x", "nothing at"), (folder["nowhere"], "nothing at"),
      (folder["round"], "cannot read"), ("", "not a path"), ("a\0b", "not a path"), (empty, "is empty"),
      (mark, "is empty"), (binary, "NUL byte at offset 3"), (latin, "not UTF-8 at byte offset 2"),
      (folder["in"], "latin\" is not UTF-8 at byte offset 2"), (cut, "not UTF-8 at byte offset 1"),
      (folder["hollow"], "empty files only"), (folder["hidden"], "no files"),
      ("/dev/null", "neither a file nor a directory"), ("/proc/self/mem", "cannot read"),
    ]
    for (path, part) in cases {
      let refusal = try #require(refused([path]))
      #expect(refusal.kind == .badInput)
      #expect(refusal.sentence.contains(part), "\(refusal.sentence)")
      // As every refusal: no capital letter, no full stop, one line, and what to do.
      #expect(refusal.sentence.first.map { !$0.isUppercase } == true && !refusal.sentence.hasSuffix("."))
      #expect(!refusal.sentence.contains("\n") && refusal.sentence.contains { ":;".contains($0) })
      #expect(path.isEmpty || path.contains("\0") || refusal.sentence.contains(path))
    }
  }

  @Test("a file's name that would write on the terminal is shown escaped")
  func escapesNames() throws {
    let folder = try TemporaryFolder()
    try folder.write("a\u{1b}[31m\nb", [0xff])
    let sentence = try #require(refused([folder.path])).sentence
    #expect(sentence.unicodeScalars.allSatisfy { $0.value >= 0x20 })
  }

  @Test("no more than the limit is ever held")
  func limit() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("text", "twelve bytes")
    #expect(try text([path], limit: 12) == "twelve bytes")
    #expect(try #require(refused([path], limit: 11)).sentence.contains("exceeds 11 bytes"))
    #expect(refused([path, path], limit: 24) != nil)
    #expect(try text([path, path], limit: 25).utf8.count == 25)
  }

  @Test("a directory's pipe is passed over and a pipe named on its own is refused, neither is waited for")
  func pipes() throws {
    let folder = try TemporaryFolder()
    try folder.write("text", "text")
    try #require(mkfifo(folder["pipe"], 0o600) == 0)
    #expect(try text([folder.path]) == "text")
    #expect(try #require(refused([folder["pipe"]])).sentence.contains("neither a file nor a directory"))
  }

  @Test("names that are not UTF-8 are read like any other")
  func rawNames() throws {
    let folder = try TemporaryFolder()
    let name = folder.path.utf8CString.dropLast() + [0x2f, CChar(bitPattern: 0xff), 0]
    let descriptor = open(Array(name), O_WRONLY | O_CREAT, 0o600)
    try #require(descriptor >= 0)
    try #require(write(descriptor, "text", 4) == 4)
    close(descriptor)
    #expect(try text([folder.path]) == "text")
  }
}
