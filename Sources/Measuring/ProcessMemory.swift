import Glibc

/// How much memory this process holds in RAM, as the kernel counts it. Nil where the kernel does not say.
package enum ProcessMemory {
  /// Resident bytes now.
  package static func current(root: String = "") -> Int? { bytes("VmRSS", root) }

  /// The most resident bytes since the start, or since ``resetPeak(root:)`` last succeeded.
  package static func peak(root: String = "") -> Int? { bytes("VmHWM", root) }

  /// Makes the present resident size the peak. False when the kernel refuses, and the peak is then still the old one:
  /// a caller that reports a peak must say so.
  package static func resetPeak(root: String = "") -> Bool {
    let file = open(root + "/proc/self/clear_refs", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return false }
    defer { close(file) }
    return write(file, "5", 1) == 1
  }

  private static func bytes(_ key: String, _ root: String) -> Int? {
    SystemFile.text(root + "/proc/self/status").flatMap { SystemFile.bytes(of: key, in: $0) }
  }
}
