import Foundation

/// After which steps a pattern changes: so many times, as evenly as whole steps allow, between two fractions of the run,
/// the last time after the later of the two; never after the run's last step. With fewer steps than changes, after each.
package struct UpdateSchedule: Sendable {
  let first: Int
  let last: Int
  let updates: Int

  package init(steps: Int, updates: Int, from start: Double, to stop: Double) {
    first = Int(start * Double(steps))
    last = min(Int(stop * Double(steps)), steps - 1)
    self.updates = min(max(1, updates), max(1, last - first))
  }

  /// Changes up to and with the one after `step`.
  private func done(after step: Int) -> Int {
    last > first ? max(0, min(step, last) - first) * updates / (last - first) : 0
  }

  package func isUpdate(after step: Int) -> Bool {
    step > first && step <= last && done(after: step) > done(after: step - 1)
  }

  /// The step of the last change up to `step`; `first`, where nothing has changed yet, before all of them.
  func latest(upTo step: Int) -> Int {
    // The first step with so many: (s - first) * updates >= count * (last - first).
    first + (done(after: step) * (last - first) + updates - 1) / updates
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
