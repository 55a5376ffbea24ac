import Foundation
import Testing

@testable import Measuring

/// The machine's environment without what would lead git elsewhere.
private let surroundings = ProcessInfo.processInfo.environment.filter {
  !$0.key.hasPrefix("GIT_") && $0.key != "FILIGREE_COMMIT"
}

private func run(_ arguments: [String]) -> String? {
  BriefCommand.output(arguments, environment: surroundings, deadline: Clock.seconds() + 60)
}

@Suite("Commit")
struct CommitTests {
  /// A package with one commit, and the digits of that commit read from git's own file.
  private static func checkout() throws -> (tree: TemporaryTree, hash: String) {
    let tree = try TemporaryTree([
      "Package.swift": "// a package\n", "Sources/a.swift": "// a\n", ".build/release/program": "",
      ".gitignore": ".build\n",
    ])
    let git = [
      "git", "-C", tree.root, "-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false",
    ]
    try #require(run(git + ["init", "-q", "-b", "trunk"]) != nil)
    try #require(run(git + ["add", "."]) != nil)
    try #require(run(git + ["commit", "-q", "--no-verify", "-m", "first"]) != nil)
    let hash = try String(contentsOfFile: tree.root + "/.git/refs/heads/trunk", encoding: .utf8)
    return (tree, hash.trimmingCharacters(in: .whitespacesAndNewlines))
  }

  private static func find(_ tree: TemporaryTree, _ more: [String: String] = [:], patience: Double = 60) -> String {
    Commit.find(
      environment: surroundings.merging(more) { $1 }, executable: tree.root + "/.build/release/program",
      patience: patience)
  }

  private static let hasGit = run(["git", "--version"]) != nil

  @Test(
    "the commit of the checkout around the program, dirty when what is compiled has changed",
    .enabled(if: hasGit, "there is no git on this machine"))
  func checkout() throws {
    let (tree, hash) = try CommitTests.checkout()
    #expect(hash.count == 40)
    #expect(CommitTests.find(tree) == hash.prefix(12))
    try tree.write("results.jsonl", "{}")
    #expect(CommitTests.find(tree) == hash.prefix(12))
    try tree.write("Sources/b.swift", "// b")
    #expect(CommitTests.find(tree) == hash.prefix(12) + "-dirty")
    try tree.remove("Sources/b.swift")
    try tree.write("Package.swift", "// another\n")
    #expect(CommitTests.find(tree) == hash.prefix(12) + "-dirty")
  }

  @Test(
    "the environment's git variables do not lead to another checkout",
    .enabled(if: hasGit, "there is no git on this machine"))
  func otherCheckout() throws {
    let (tree, hash) = try CommitTests.checkout()
    #expect(CommitTests.find(tree, ["GIT_DIR": "/nowhere"]) == hash.prefix(12))
  }

  @Test("no time means no answer")
  func impatience() throws {
    let tree = try TemporaryTree(["Package.swift": ""])
    #expect(CommitTests.find(tree, patience: 0) == "unknown")
  }

  @Test("the environment's word goes before all else")
  func environment() throws {
    let tree = try TemporaryTree()
    #expect(CommitTests.find(tree, ["FILIGREE_COMMIT": "v1.2-3"]) == "v1.2-3")
    for word in ["", "two words", "line\n", "\u{1b}[0m", "é", String(repeating: "a", count: 65)] {
      #expect(CommitTests.find(tree, ["FILIGREE_COMMIT": word]) == "unknown", "\(word)")
    }
  }

  @Test("a program outside a checkout, or nowhere, has an unknown commit")
  func outside() throws {
    let tree = try TemporaryTree(["Package.swift": "", ".build/release/program": ""])
    #expect(CommitTests.find(tree) == "unknown")
    #expect(Commit.find(environment: surroundings, executable: nil, patience: 60) == "unknown")
    #expect(Commit.find(environment: surroundings, executable: "/", patience: 60) == "unknown")
    #expect(Commit.find(environment: surroundings, executable: "", patience: 60) == "unknown")
  }

  @Test("a package's root is the folder with the manifest whose .build holds the program")
  func packageRoot() throws {
    let tree = try TemporaryTree(["p/Package.swift": "", "p/.build/x/release/program": "", "p/bin/program": ""])
    #expect(Commit.packageRoot(of: tree.root + "/p/.build/x/release/program") == tree.root + "/p")
    #expect(Commit.packageRoot(of: tree.root + "/p/bin/program") == nil)
    #expect(Commit.packageRoot(of: tree.root + "/program") == nil)
  }

  @Test("this process has an answer without blanks")
  func current() {
    #expect(!Commit.current.isEmpty)
    #expect(Commit.current.split(separator: " ") == [Commit.current[...]])
  }

  @Test("a command's output is what it wrote, cut at the limit, and nothing when it fails, hangs or is not there")
  func commands() {
    #expect(run(["sh", "-c", "printf 'a b'; echo c >&2"]) == "a b")
    #expect(run(["sh", "-c", "echo a; exit 3"]) == nil)
    #expect(run(["sh", "-c", "cat; true"]) == "")
    #expect(run(["no-such-program-here"]) == nil)
    #expect(run([]) == nil)
    let endless = BriefCommand.output(
      ["sh", "-c", "while :; do echo y; done"], environment: surroundings, deadline: Clock.seconds() + 60, limit: 10)
    #expect(endless == "y\ny\ny\ny\ny\n")
    for script in ["sleep 3600", "exec >&-; sleep 3600", "sleep 3600 & echo a"] {
      let hanging = BriefCommand.output(
        ["sh", "-c", script], environment: surroundings, deadline: Clock.seconds() + 0.2)
      #expect(hanging == nil, "\(script)")
    }
  }

  @Test("a command that hangs is killed with what it started")
  func killedGroup() throws {
    let tree = try TemporaryTree()
    let script = "sleep 3600 & echo $! >\(tree.root)/child; wait"
    #expect(
      BriefCommand.output(["sh", "-c", script], environment: surroundings, deadline: Clock.seconds() + 1) == nil)
    let child = try #require(SystemFile.word(tree.root + "/child"))
    // Gone, or dead and not yet collected by whoever inherited it.
    var state: String? = "S"
    for _ in 0..<200 where state != nil && state?.first != "Z" {
      usleep(10_000)
      state = SystemFile.text("/proc/\(child)/status").flatMap { SystemFile.value(of: "State", in: $0) }
    }
    #expect(state == nil || state?.first == "Z")
  }
}
