import Foundation
import Fuzzing
import Synchronization

/// Which input is being parsed, for the message of a process that is ended by it.
let current = Atomic<Int>(0)

/// Says which input ended the process, in calls that a signal handler may make.
func report(_ signal: Int32) {
  var digits: [UInt8] = []
  var rest = current.load(ordering: .relaxed)
  repeat {
    digits.insert(UInt8(48 + rest % 10), at: 0)
    rest /= 10
  } while rest > 0
  let text = Array("fuzz: ended by signal \(signal) at input ".utf8) + digits + [10]
  _ = text.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
  _exit(70)
}

func fail(_ sentence: String) -> Never {
  FileHandle.standardError.write(Data("fuzz: \(sentence)\n".utf8))
  exit(2)
}

/// fuzz COUNT [TARGET...]           COUNT inputs for each target, or for those named
/// fuzz --input NUMBER TARGET       one input, written to standard output
func main() throws {
  let arguments = Array(CommandLine.arguments.dropFirst())
  if arguments.count == 3, arguments[0] == "--input", let number = Int(arguments[1]), number >= 0,
    let target = FuzzTarget.all.first(where: { $0.name == arguments[2] })
  {
    FileHandle.standardOutput.write(Data(target.input(number)))
    return
  }
  guard let count = arguments.first.flatMap({ Int($0) }), count > 0 else {
    fail("write fuzz COUNT [TARGET...], or fuzz --input NUMBER TARGET; the targets are \(FuzzTarget.all.map(\.name))")
  }
  for name in arguments.dropFirst() where !FuzzTarget.all.contains(where: { $0.name == name }) {
    fail("there is no target '\(name)'; the targets are \(FuzzTarget.all.map(\.name))")
  }
  // An input that takes ten seconds hangs; one that takes four gigabytes has no bound.
  for number in [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGALRM] { signal(number) { report($0) } }
  var limit = rlimit(rlim_cur: 4 << 30, rlim_max: 4 << 30)
  guard setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 else { fail("the memory cannot be limited") }
  for target in FuzzTarget.all where arguments.count == 1 || arguments.dropFirst().contains(target.name) {
    let start = Date()
    var accepted = 0
    for number in 0..<count {
      current.store(number, ordering: .relaxed)
      alarm(10)
      accepted += try target.run(number) ? 1 : 0
    }
    alarm(0)
    let seconds = Date().timeIntervalSince(start)
    let line = "\(target.name): \(count) inputs, \(accepted) accepted, the others refused, \(Int(seconds)) s\n"
    FileHandle.standardOutput.write(Data(line.utf8))
  }
}

try main()
