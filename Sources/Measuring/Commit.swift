import Foundation

/// Which source this program was built from, as far as can be told while it runs.
package enum Commit {
  /// The longest that ``current`` takes, in seconds.
  package static let patience = 0.8

  /// The answer for this process, found once.
  package static let current = find(
    environment: ProcessInfo.processInfo.environment, executable: runningExecutable(), patience: patience)

  /// In this order:
  /// - the environment's FILIGREE_COMMIT, if it is one word of at most 64 printable ASCII characters;
  /// - twelve digits of the checked-out commit, where `executable` lies under `.build` of a package (the nearest folder
  ///   above with a `Package.swift`) in a git checkout, followed by "-dirty" when what is compiled (the manifest, what
  ///   it pins, and Sources) differs from that commit, by "-unchecked" when that could not be found out in time;
  /// - "unknown".
  ///
  /// The checkout can be newer than the program: then this names the wrong commit, and a build that must not be
  /// mistaken sets FILIGREE_COMMIT.
  package static func find(environment: [String: String], executable: String?, patience: Double) -> String {
    if let given = environment["FILIGREE_COMMIT"], isName(given) { return given }
    guard let executable, let folder = packageRoot(of: executable) else { return "unknown" }

    let deadline = Clock.seconds() + patience
    // Variables such as GIT_DIR, which git's own hooks set, name another checkout.
    var variables = environment.filter { !$0.key.hasPrefix("GIT_") }
    variables["GIT_OPTIONAL_LOCKS"] = "0"
    variables["LC_ALL"] = "C"
    let git = ["git", "-C", folder, "-c", "core.fsmonitor=false"]
    let head = BriefCommand.output(
      git + ["rev-parse", "--short=12", "HEAD"], environment: variables, deadline: deadline)
    guard let commit = head?.split(whereSeparator: \.isNewline).first.map(String.init), isHash(commit) else {
      return "unknown"
    }
    let compiled = ["Package.swift", "Package.resolved", "Sources"]
    let changes = BriefCommand.output(
      git + ["status", "--porcelain", "--"] + compiled, environment: variables, deadline: deadline)
    guard let changes else { return commit + "-unchecked" }
    return changes.isEmpty ? commit : commit + "-dirty"
  }

  /// The nearest folder above with a `Package.swift`, if the executable lies under that folder's `.build`.
  static func packageRoot(of executable: String) -> String? {
    var parts = executable.split(separator: "/")
    while !parts.isEmpty {
      let child = parts.removeLast()
      let folder = "/" + parts.joined(separator: "/")
      if FileManager.default.fileExists(atPath: folder + "/Package.swift") {
        return child == ".build" ? folder : nil
      }
    }
    return nil
  }

  private static func runningExecutable() -> String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
  }

  private static func isName(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
  }

  private static func isHash(_ text: String) -> Bool {
    text.utf8.count >= 12 && text.utf8.count <= 64 && text.allSatisfy { $0.isASCII && $0.isHexDigit }
  }
}
