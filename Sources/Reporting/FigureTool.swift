import Arrays
import Foundation

/// gnuplot 5.4 or later, run as a subprocess with the script on its standard input.
package struct FigureTool: Sendable {
  package let executable: URL
  /// Seconds after which a run that does not end is ended.
  package var patience = 120.0

  package init(executable: URL) {
    self.executable = executable
  }

  /// The first `gnuplot` on `path` (by default that of the environment) that is 5.4 or later, or nil.
  package static func found(path: String? = ProcessInfo.processInfo.environment["PATH"]) -> FigureTool? {
    for folder in (path ?? "").split(separator: ":") where folder.hasPrefix("/") {
      let candidate = URL(fileURLWithPath: String(folder)).appendingPathComponent("gnuplot")
      guard FileManager.default.isExecutableFile(atPath: candidate.path) else { continue }
      let tool = FigureTool(executable: candidate)
      if let version = tool.version, version >= (5, 4) { return tool }
    }
    return nil
  }

  /// "gnuplot 5.4 patchlevel 4" is (5, 4).
  package var version: (Int, Int)? {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("filigree-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    guard (try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)) != nil,
      let output = try? launch(["--version"], input: nil, folder: folder), output.status == 0
    else { return nil }
    let words = output.text.split(separator: " ")
    guard words.count > 1, words[0] == "gnuplot" else { return nil }
    let numbers = words[1].split(separator: ".").compactMap { Int($0) }
    return numbers.count > 1 ? (numbers[0], numbers[1]) : nil
  }

  /// Runs `script`, keeping its own scratch files in `folder`; throws what gnuplot said when it did not end well.
  package func run(_ script: String, folder: URL) throws {
    let file = folder.appendingPathComponent("script.gp")
    try Data(script.utf8).write(to: file)
    let output = try launch(["-d", "-"], input: file, folder: folder)
    guard output.status == 0 else {
      let said = output.text.split(separator: "\n").last { !$0.trimmingCharacters(in: .whitespaces).isEmpty }
      throw Refusal.failed(
        "\(executable.path) could not draw a figure (\((said ?? "it said nothing").prefix(160))); check that gnuplot is 5.4 or later with the svg and pngcairo terminals"
      )
    }
  }

  private func launch(_ arguments: [String], input: URL?, folder: URL) throws -> (status: Int32, text: String) {
    let log = folder.appendingPathComponent("output.log")
    guard FileManager.default.createFile(atPath: log.path, contents: nil) else {
      throw Refusal.failed("\(folder.path) cannot be written to; check its permissions and the free space")
    }
    let process = Process()
    process.executableURL = executable
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.environment = ["LC_ALL": "C.UTF-8", "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"]
      .merging(ProcessInfo.processInfo.environment.filter { $0.key == "HOME" }) { old, _ in old }
    let sink = try FileHandle(forWritingTo: log)
    defer { try? sink.close() }
    process.standardOutput = sink
    process.standardError = sink
    let source = try input.map { try FileHandle(forReadingFrom: $0) }
    defer { try? source?.close() }
    process.standardInput = source ?? FileHandle.nullDevice
    let ended = DispatchSemaphore(value: 0)
    process.terminationHandler = { _ in ended.signal() }
    do {
      try process.run()
    } catch {
      throw Refusal.failed("\(executable.path) cannot be started; check that it is a program for this machine")
    }
    if ended.wait(timeout: .now() + patience) == .timedOut {
      process.terminate()
      throw Refusal.failed("\(executable.path) did not end within \(Int(patience)) seconds; run the report again")
    }
    let said = (try? Data(contentsOf: log)) ?? Data()
    return (process.terminationStatus, String(decoding: said.prefix(1 << 16), as: UTF8.self))
  }
}
