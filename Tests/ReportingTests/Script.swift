import Foundation

/// A shell script to be run by a test.
struct Script {
  private let text: String

  init(_ body: String) { text = "#!/bin/sh\n\(body)\n" }

  struct NotWritten: Error {
    let path: String
    let status: Int32
  }

  /// Makes the executable file in a process of its own: no descriptor of this process is ever open for writing on it, which
  /// a process forked by another test meanwhile would hold on to, and for as long the kernel runs no such file (ETXTBSY).
  func write(to file: URL) throws {
    let copy = URL(fileURLWithPath: file.path + ".text")
    try Data(text.utf8).write(to: copy)
    defer { try? FileManager.default.removeItem(at: copy) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", "rm -f \"$0\" && cp \"$0.text\" \"$0\" && chmod 755 \"$0\"", file.path]
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw NotWritten(path: file.path, status: process.terminationStatus)
    }
  }
}
