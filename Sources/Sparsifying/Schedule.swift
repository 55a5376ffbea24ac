import Foundation

/// After which steps a pattern changes: at equal distances between two fractions of the run, and after the later of the
/// two; never after the run's last step.
package struct UpdateSchedule: Sendable {
  let first: Int
  let last: Int
  let interval: Int

  package init(steps: Int, updates: Int, from start: Double, to stop: Double) {
    first = Int(start * Double(steps))
    last = min(Int(stop * Double(steps)), steps - 1)
    interval = max(1, (last - first) / max(1, updates))
  }

  package func isUpdate(after step: Int) -> Bool {
    step > first && step <= last && ((step - first).isMultiple(of: interval) || step == last)
  }

  /// 0 at the first of the steps, 1 from the last on.
  package func progress(after step: Int) -> Double {
    last > first ? min(1, max(0, Double(step - first) / Double(last - first))) : step >= last ? 1 : 0
  }

  /// f (1 + cos(pi progress)) / 2
  func decayed(_ fraction: Double, after step: Int) -> Double {
    fraction * (1 + cos(.pi * progress(after: step))) / 2
  }
}

/// Sparsity falls into place by a cubic (Zhu and Gupta 2017, arXiv 1710.01878):
///
///     d(p) = d_end + (1 - d_end) (1 - p)^3,   p the progress from 0 to 1
package enum CubicSchedule {
  /// Of `size` places those that are left, from all to `end`.
  package static func count(of size: Int, end: Int, progress: Double) -> Int {
    let final = Double(end) / Double(size), rest = 1 - progress
    let density = final + (1 - final) * rest * rest * rest
    return min(size, max(end, Int(density * Double(size))))
  }
}
