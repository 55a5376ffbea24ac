import Foundation
import Synchronization

/// Thrown where work stops because of Ctrl-C, a termination signal or a closed terminal, after its state is safe.
struct Interruption: Error {
  static let exitCode: Int32 = 130

  private static let asked = Atomic<Bool>(false)

  /// From now on the signals only ask; a second Ctrl-C ends the process at once, as ever.
  static func listen() {
    for number in [SIGINT, SIGTERM] { signal(number, note) }
    // nohup's wish is respected: a hang-up that is ignored stays so.
    if unsafeBitCast(signal(SIGHUP, note), to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) {
      signal(SIGHUP, SIG_IGN)
    }
  }

  private static let note: @convention(c) (Int32) -> Void = { number in
    Interruption.asked.store(true, ordering: .relaxed)
    signal(number, SIG_DFL)
  }

  static var isAsked: Bool { asked.load(ordering: .relaxed) }

  static func check() throws {
    if isAsked { throw Interruption() }
  }
}
