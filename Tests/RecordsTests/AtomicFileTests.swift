import Arrays
import Foundation
import Testing

@testable import Records

struct AtomicFileTests {
  private struct Interruption: Error {}

  @Test("a file is written, replaced, and nothing else is left in the folder")
  func replaces() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "run.json")
      try AtomicFile.write(Data("first".utf8), to: url)
      try AtomicFile.write(to: url) { sink in
        try sink.write(Data("sec".utf8))
        try sink.write(Data("ond".utf8))
      }
      #expect(try String(contentsOf: url, encoding: .utf8) == "second")
      #expect(try names(in: folder) == ["run.json"])
    }
  }

  @Test("a write that fails half way leaves the old file and no partial")
  func failure() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "run.json")
      try AtomicFile.write(Data("first".utf8), to: url)
      let refusal = #expect(throws: Refusal.self) {
        try AtomicFile.write(to: url) { sink in
          try sink.write(Data("sec".utf8))
          throw Interruption()
        }
      }
      #expect(refusal?.kind == .failed)
      #expect(refusal?.sentence.contains(url.path) == true)
      #expect(try String(contentsOf: url, encoding: .utf8) == "first")
      #expect(try names(in: folder) == ["run.json"])
    }
  }

  @Test(
    "what the system refuses is one sentence with the path and the system's reason",
    arguments: [
      ("absent/file", "No such file or directory"), ("plain/file", "Not a directory"), ("folder", "Is a directory"),
      (String(repeating: "n", count: 300), "File name too long"),
    ])
  func systemRefuses(name: String, reason: String) throws {
    try withTemporaryFolder { folder in
      try Data().write(to: folder.appending(path: "plain"))
      try FileManager.default.createDirectory(
        at: folder.appending(path: "folder"), withIntermediateDirectories: false)
      let url = folder.appending(path: name)
      let refusal = #expect(throws: Refusal.self) { try AtomicFile.write(Data("x".utf8), to: url) }
      let sentence = refusal?.sentence ?? ""
      #expect(sentence.contains(url.path) && sentence.contains(reason) && !sentence.contains("\n"))
      #expect(try names(in: folder) == ["folder", "plain"])
    }
  }

  @Test("a full disk is one sentence that says to free space")
  func fullDisk() throws {
    let file = try OpenFile(appending: "/dev/full")
    let refusal = #expect(throws: Refusal.self) { try file.append(Data("x".utf8)) }
    #expect(refusal?.sentence.contains("/dev/full: No space left on device; free some space") == true)
  }

  @Test("reading refuses folders, devices and what is not there", arguments: ["", "/dev/zero", "absent"])
  func reading(name: String) throws {
    try withTemporaryFolder { folder in
      let path = name.hasPrefix("/") ? name : folder.appending(path: name).path
      let refusal = #expect(throws: Refusal.self) { try OpenFile(reading: path) }
      #expect(refusal?.kind == .badInput)
      #expect(refusal?.sentence.contains(path) == true)
    }
  }

  @Test("reading beyond the end is refused")
  func shortFile() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "file")
      try Data("abc".utf8).write(to: url)
      let file = try OpenFile(reading: url.path)
      #expect(try file.bytes(1..<3) == Array("bc".utf8))
      #expect(throws: Refusal.self) { try file.bytes(1..<4) }
      #expect(throws: Refusal.self) { try file.contents(limit: 2) }
    }
  }

  @Test("a folder appears whole, and one that exists is replaced as a whole")
  func folders() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "000100")
      try AtomicFile.writeFolder(to: url) { partial in
        #expect(partial.lastPathComponent.hasPrefix("000100.partial-"))
        try Data("a".utf8).write(to: partial.appending(path: "a"))
      }
      try AtomicFile.writeFolder(to: url) { partial in
        #expect(try names(in: url) == ["a"])
        try FileManager.default.createDirectory(
          at: partial.appending(path: "inner"), withIntermediateDirectories: false)
        try Data("b".utf8).write(to: partial.appending(path: "inner/b"))
      }
      #expect(try names(in: url) == ["inner"])
      #expect(throws: Refusal.self) {
        try AtomicFile.writeFolder(to: url) { partial in
          try Data("c".utf8).write(to: partial.appending(path: "c"))
          throw Interruption()
        }
      }
      #expect(try names(in: url) == ["inner"])
      #expect(try names(in: folder) == ["000100"])
      try AtomicFile.removeFolder(url)
      #expect(try names(in: folder) == [])
    }
  }

  @Test("partials of processes that are gone are removed; those of others, and other names, stay")
  func stale() throws {
    try withTemporaryFolder { folder in
      let gone = "999999999"
      let own = "\(ProcessInfo.processInfo.processIdentifier)"
      let living = "\(getppid())"
      let others = ["000050.partial-\(living)", "notes.partial-draft", "a.partial-1-x", ".partial-\(gone)"]
      for name in ["000050.partial-\(gone)", "000100.partial-\(gone)", "000100.partial-\(own)"] + others {
        try FileManager.default.createDirectory(at: folder.appending(path: name), withIntermediateDirectories: true)
      }
      let url = folder.appending(path: "000100")
      try AtomicFile.writeFolder(to: url) { _ in }
      #expect(try names(in: folder) == (["000050.partial-\(gone)", "000100"] + others).sorted())
      try AtomicFile.writeFolder(to: url, ownsParent: true) { _ in }
      #expect(try names(in: folder) == (["000100"] + others).sorted())
    }
  }

  @Test("of many writers of one file at once one wins, whole")
  func concurrent() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "file")
      DispatchQueue.concurrentPerform(iterations: 24) { i in
        _ = try? AtomicFile.write(to: url) { sink in
          for _ in 0..<20 { try sink.write([UInt8](repeating: UInt8(i), count: 100)) }
        }
      }
      let bytes = try Data(contentsOf: url)
      #expect(bytes.count == 2000 && Set(bytes).count == 1)
      #expect(try names(in: folder) == ["file"])
    }
  }
}
