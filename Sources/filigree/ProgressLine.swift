import Foundation
import Measuring

/// A bar with the time left on standard error when that is a terminal; elsewhere a plain line now and then.
final class ProgressLine {
  private let title: String
  private let total: Int
  private let quiet: Bool
  private let isTerminal = isatty(2) == 1
  private let start = Clock.seconds()
  private var last = -1.0
  /// The share done before: by an earlier process, which the time left must not count.
  private var first: Double?

  /// Seconds between two lines where there is no terminal.
  private static let plainInterval = 30.0

  /// Seconds before anything is shown: what ends sooner needs no line.
  private let patience: Double

  init(_ title: String, total: Int, quiet: Bool, patience: Double = 0) {
    self.patience = patience
    self.title = title
    self.total = max(1, total)
    self.quiet = quiet
  }

  /// - Parameter share: of the work, what is done, where that is not `done` of the total.
  func show(_ done: Int, _ remark: String, share: Double? = nil) {
    let now = Clock.seconds()
    let share = share ?? Double(done) / Double(total)
    let first = first ?? share
    self.first = first
    guard !quiet, now - start >= patience,
      now - last > (isTerminal ? 0.1 : Self.plainInterval) || (isTerminal && done == total)
    else { return }
    last = now
    let seconds = share > first ? (now - start) / (share - first) * (1 - share) : nil
    let left = seconds.map { ", \(ProgressLine.clock($0)) left" } ?? ""
    guard isTerminal else { return write("\(title) \(done)/\(total)\(left), \(remark)\n") }
    let width = max(4, min(24, ProgressLine.columns - 60)), filled = width * min(done, total) / total
    let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: width - filled)
    write(
      "\r\u{1b}[K" + String("\(title) [\(bar)] \(done)/\(total)\(left), \(remark)".prefix(ProgressLine.columns - 1)))
  }

  func end() {
    if !quiet && isTerminal && last >= 0 { write("\r\u{1b}[K") }
  }

  private func write(_ text: String) { Output.remark(text) }

  private static var columns: Int {
    var size = winsize()
    return ioctl(2, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 20 ? Int(size.ws_col) : 80
  }

  /// "1:05", "2:03:09" or "17 days".
  static func clock(_ seconds: Double) -> String {
    if seconds > 100 * 3600 { return "\(Int(min(seconds / 86400, 1e9).rounded())) days" }
    let whole = Int(max(0, seconds).rounded())
    let hours = whole / 3600, minutes = whole / 60 % 60, rest = whole % 60
    return hours > 0 ? String(format: "%d:%02d:%02d", hours, minutes, rest) : String(format: "%d:%02d", minutes, rest)
  }
}
