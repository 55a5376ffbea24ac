import ArgumentParser
import Arrays
import Foundation
import Measuring

/// `filigree <subcommand>`: results on standard output, everything else on standard error.
@main
struct Filigree: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "filigree",
    abstract: "Which sparse structure should a language model's MLP have on this machine, and does it pay?",
    discussion: """
      Exit status: 0 done; 1 failed; 2 bad usage or bad input; 3 the thing asked for does not exist on this machine; \
      130 interrupted, state saved.
      """,
    version: "filigree \(version) (\(source))",
    subcommands: [
      DoctorCommand.self, ListCommand.self, BenchCommand.self, TrainCommand.self,
      SurveyCommand.self, ReportCommand.self, EvaluateCommand.self, ScoreCommand.self, GenerateCommand.self,
      ExportCommand.self, TokenizeCommand.self,
    ])

  static let version = "0.1.0"

  /// The commit, as records name it. A program that was copied out of its checkout cannot see it.
  private static var source: String {
    Commit.current == "unknown"
      ? "commit unknown: outside of a checkout's .build; the variable FILIGREE_COMMIT can name it" : Commit.current
  }

  /// What a run's record says of the program.
  static var versions: [String: String] { ["filigree": version, "swift": compiler] }

  /// A large corpus is a thousand shards and more, each open while it is trained on.
  private static func allowManyFiles() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  private static var compiler: String {
    #if compiler(>=6.3)
      "6.3 or later"
    #else
      "before 6.3"
    #endif
  }

  static func main() {
    Output.protectStreams()
    allowManyFiles()
    DenseLibrary.shortenSpinning()
    let words = Arguments.joiningNegatives(Array(CommandLine.arguments.dropFirst()))
    do {
      var command = try parseAsRoot(words)
      try command.run()
    } catch let refusal as Refusal {
      Output.complain(refusal.sentence)
      Foundation.exit(refusal.kind.exitCode)
    } catch is Interruption {
      Foundation.exit(Interruption.exitCode)
    } catch {
      let code = exitCode(for: error)
      if code == .success {
        Output.line(fullMessage(for: error))
        Foundation.exit(0)
      }
      var help = "filigree help"
      if let first = CommandLine.arguments.dropFirst().first {
        for subcommand in configuration.subcommands where subcommand._commandName == first { help += " \(first)" }
      }
      Output.complain(UsageAdvice.completed(message(for: error), words) + " ('\(help)' lists what there is)")
      Foundation.exit(2)
    }
  }
}
