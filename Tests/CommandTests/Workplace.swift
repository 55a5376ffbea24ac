import Foundation
import Glibc

/// A directory of its own for a test, gone with the last reference.
final class Workplace: Sendable {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("filigree-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  subscript(_ path: String) -> URL { url.appendingPathComponent(path) }

  func run(_ arguments: [String]) throws -> Program.Ending { try Program(in: url).run(arguments) }

  func write(_ bytes: [UInt8], to path: String) throws { try Data(bytes).write(to: self[path]) }

  func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: self[path])) }

  func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: self[path].path) }

  func copy(_ source: URL, to path: String) throws { try FileManager.default.copyItem(at: source, to: self[path]) }

  /// Every path in the directory with its contents; nil for what is no regular file.
  func contents() throws -> [String: [UInt8]?] {
    var all: [String: [UInt8]?] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: url.path) {
      all.updateValue(try? bytes(path), forKey: path)
    }
    return all
  }

  /// Returns when the file has more than so many bytes, or the process has ended.
  func wait(for path: String, beyond count: Int, or running: Program.Running) {
    let file = self[path].path
    while !running.hasEnded {
      var information = stat()
      if stat(file, &information) == 0, information.st_size > count { return }
      usleep(300)
    }
  }

  func size(_ path: String) -> Int {
    var information = stat()
    return stat(self[path].path, &information) == 0 ? Int(information.st_size) : 0
  }
}

/// Words to train on, the same each time.
enum Text {
  static let english: [UInt8] = {
    let words = ["sparse", "dense", "block", "row", "column", "weight", "token", "loss"]
    var state: UInt32 = 1
    var text = ""
    while text.utf8.count < 20_000 {
      state = state &* 1_664_525 &+ 1_013_904_223
      text += words[Int(state >> 24) % words.count] + (state >> 16 & 7 == 0 ? ".\n" : " ")
    }
    return Array(text.utf8)
  }()
}

/// A model that trains a step in a millisecond.
enum Tiny {
  static let shape = [
    "--hidden-size", "32", "--intermediate-size", "64", "--layers", "1", "--heads", "1", "--key-value-heads", "1",
    "--head-dimension", "16", "--batch", "2", "--sequence", "32",
  ]

  static func train(
    steps: Int = 40, every: Int = 5, on data: String = "text.txt", to out: String = "run", _ more: [String] = []
  ) -> [String] {
    ["train", "--quiet", "--data", data, "--out", out, "--steps", "\(steps)", "--checkpoint-every", "\(every)"]
      + ["--evaluate-every", "10"] + shape + more
  }

  /// A finished run of `train()` and the text it read, made once and only copied from.
  static let finished: Result<Workplace, any Error> = Result {
    let place = try Workplace()
    try place.write(Text.english, to: "text.txt")
    let ending = try place.run(train())
    guard ending.status == 0 else { throw Failed(sentence: ending.errors) }
    remains = place
    atexit { Tiny.remains = nil }
    return place
  }

  nonisolated(unsafe) private static var remains: Workplace?

  struct Failed: Error { let sentence: String }

  /// A directory with the text and a copy of the finished run.
  static func copyOfFinished() throws -> Workplace {
    let place = try Workplace(), source = try finished.get()
    for name in ["text.txt", "run"] { try place.copy(source[name], to: name) }
    return place
  }
}
