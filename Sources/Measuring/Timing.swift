/// How long one candidate took: repeated samples of the seconds of one call.
package struct Timing: Sendable, Equatable {
  package let name: String
  /// Median of `samples`.
  package let seconds: Double
  /// Median absolute deviation / median.
  package let spread: Double
  /// Seconds of one call, in the order they were taken; candidates timed together have the same count, and their k-th
  /// samples were taken next to each other.
  package let samples: [Double]
  /// Calls behind each sample: above 1 for a body too short for the clock.
  package let callsPerSample: Int

  /// The number of samples.
  package var repeats: Int { samples.count }

  /// No samples give 0 seconds and 0 spread.
  package init(name: String, samples: [Double], callsPerSample: Int = 1) {
    self.name = name
    self.samples = samples
    self.callsPerSample = callsPerSample
    seconds = Statistics.median(samples) ?? 0
    spread = Statistics.spread(samples) ?? 0
  }
}
