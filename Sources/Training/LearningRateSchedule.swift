import Foundation

/// Linear warm-up, then a cosine down to a fraction of the peak.
///
///     rate(s) = peak (s + 1) / warmup                                           s < warmup
///     rate(s) = peak (f + (1 - f) (1 + cos(pi (s - warmup) / (steps - warmup))) / 2)   otherwise,  s = 0, 1, ...
package struct LearningRateSchedule: Sendable {
  let peak: Double
  let warmup: Int
  let steps: Int
  let finalFraction: Double

  package init(peak: Double, warmup: Int, steps: Int, finalFraction: Double) {
    self.peak = peak
    self.warmup = warmup
    self.steps = steps
    self.finalFraction = finalFraction
  }

  package func rate(step: Int) -> Double {
    if step < warmup { return peak * Double(step + 1) / Double(warmup) }
    let progress = Double(step - warmup) / Double(max(1, steps - warmup))
    return peak * (finalFraction + (1 - finalFraction) * (1 + cos(.pi * min(1, progress))) / 2)
  }
}
