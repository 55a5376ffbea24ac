import Foundation
import Glibc

/// The built program, run as a user runs it: arguments in, exit status and two streams out.
struct Program {
  /// What a run of the program left behind.
  struct Ending {
    /// The exit status; 128 + the signal's number where a signal ended it, as a shell says it.
    let status: Int32
    let output: String
    let errors: String

    var errorLines: [Substring] { errors.split(separator: "\n", omittingEmptySubsequences: false).dropLast() }
  }

  /// A stream of the program.
  enum Stream { case captured, closed, full }

  /// The program lies beside the test bundle, whichever way the bundle was started.
  static let path: String = {
    let places = ["/proc/self/exe", CommandLine.arguments[0]].map {
      URL(fileURLWithPath: $0).resolvingSymlinksInPath().deletingLastPathComponent().appendingPathComponent("filigree")
        .path
    }
    return places.first { access($0, X_OK) == 0 } ?? places[0]
  }()

  /// The directory it runs in.
  let folder: URL
  var output = Stream.captured
  var errors = Stream.captured
  /// Blocks of 512 bytes that a file may grow to; a write beyond fails as on a full disk.
  var largestFile: Int?

  init(in folder: URL) { self.folder = folder }

  func run(_ arguments: [String]) throws -> Ending { try start(arguments).wait() }

  /// A process of the program that goes on.
  final class Running {
    let process: pid_t
    private let logs: [URL]

    fileprivate init(process: pid_t, logs: [URL]) {
      self.process = process
      self.logs = logs
    }

    func send(_ signal: Int32) { kill(process, signal) }

    func wait() throws -> Ending {
      var status: Int32 = 0
      while waitpid(process, &status, 0) < 0 && errno == EINTR {}
      let texts = try logs.map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) }
      for log in logs { try? FileManager.default.removeItem(at: log) }
      let signal = status & 0x7f
      return Ending(
        status: signal == 0 ? status >> 8 & 0xff : 128 + signal, output: texts[0], errors: texts[1])
    }

    var hasEnded: Bool {
      var information = siginfo_t()
      return waitid(P_PID, id_t(process), &information, WEXITED | WNOHANG | WNOWAIT) == 0 && information.si_signo != 0
    }
  }

  struct CannotStart: Error, CustomStringConvertible {
    let path: String
    let code: Int32
    var description: String { "\(path) cannot be started: \(String(cString: strerror(code)))" }
  }

  /// Starts it with every signal as usual and no gnuplot in reach, so that a test does the same on every machine.
  func start(_ arguments: [String]) throws -> Running {
    let logs = try ["out", "err"].map { name in
      let log = FileManager.default.temporaryDirectory.appendingPathComponent("filigree-\(UUID().uuidString).\(name)")
      try Data().write(to: log)
      return log
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    for (descriptor, (stream, log)) in zip([Int32(1), 2], zip([output, errors], logs)) {
      switch stream {
      case .captured: posix_spawn_file_actions_addopen(&actions, descriptor, log.path, O_WRONLY, 0)
      case .closed: posix_spawn_file_actions_addclose(&actions, descriptor)
      case .full: posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/full", O_WRONLY, 0)
      }
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var all = sigset_t(), none = sigset_t()
    sigfillset(&all)
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

    var environment = ProcessInfo.processInfo.environment
    environment["PATH"] = "/nonexistent"
    // The shell changes the directory and becomes the program: the process is the program's.
    let shell = "/bin/sh"
    let limit = largestFile.map { "trap '' XFSZ; ulimit -f \($0); " } ?? ""
    let words = ([shell, "-c", "\(limit)cd \"$0\" && exec \"$@\"", folder.path, Program.path] + arguments).map {
      strdup($0)
    }
    let settings = environment.map { strdup("\($0.key)=\($0.value)") }
    defer { for text in words + settings { free(text) } }
    var process = pid_t()
    let code = posix_spawn(&process, shell, &actions, &attributes, words + [nil], settings + [nil])
    guard code == 0 else { throw CannotStart(path: shell, code: code) }
    return Running(process: process, logs: logs)
  }
}
