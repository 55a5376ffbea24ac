import Glibc

/// Seconds on a clock that never jumps.
package enum Clock {
  /// Seconds since an arbitrary fixed moment; differences are true seconds to some tens of nanoseconds.
  ///
  /// The raw monotonic clock, which no time server speeds up or slows down; the plain monotonic one where a kernel
  /// lacks it.
  package static func seconds() -> Double {
    var time = timespec()
    if clock_gettime(CLOCK_MONOTONIC_RAW, &time) != 0 {
      clock_gettime(CLOCK_MONOTONIC, &time)
    }
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
