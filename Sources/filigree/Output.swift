import Foundation

/// Standard output, unbuffered: a line is there when it is written, and a closed pipe ends the program quietly. Standard
/// error is for sentences that nobody need read: where it is closed or full, they are lost.
enum Output {
  /// To be called first. A standard stream that is closed would otherwise be the next file that is opened, and what is
  /// printed would be written into a record; `/dev/null` opened the wrong way round refuses it instead.
  static func protectStreams() {
    signal(SIGPIPE, SIG_IGN)
    for (descriptor, flags) in [(Int32(0), O_WRONLY), (1, O_RDONLY), (2, O_WRONLY)]
    where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
      // The least free number is this one, since those below it are open.
      _ = open("/dev/null", flags)
    }
  }

  static func line(_ text: String) { write(Array((text + "\n").utf8)) }

  static func write(_ bytes: [UInt8]) {
    guard !send(bytes, to: 1) else { return }
    if errno == EPIPE { Foundation.exit(0) }
    let reason = errno
    let advice = reason == ENOSPC ? "make room, or send it elsewhere" : "send it to a file or a pipe that is open"
    complain("standard output cannot be written to (\(String(cString: strerror(reason)))): \(advice)")
    Foundation.exit(1)
  }

  /// One sentence on standard error, on one line whatever names it quotes.
  static func complain(_ sentence: String) { remark("filigree: \(printable(sentence))\n") }

  static func remark(_ text: String) { _ = send(Array(text.utf8), to: 2) }

  /// Control characters, line separators and what turns the direction of writing as Swift escapes them.
  private static func printable(_ text: String) -> String {
    var shown = ""
    for scalar in text.unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator: shown += scalar.escaped(asASCII: true)
      default: shown.unicodeScalars.append(scalar)
      }
    }
    return shown
  }

  /// False with `errno` where not everything could be written.
  private static func send(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if written < 0 && errno == EINTR { continue }
      if written <= 0 { return false }
      rest = rest.dropFirst(written)
    }
    return true
  }
}
