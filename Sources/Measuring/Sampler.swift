/// Times candidates in turn, so that what slows the machine for a while slows all of them alike.
///
///     A B C, B C A, C A B, ...
///
/// Each round takes one sample of every candidate, and starts one later than the round before, so that no candidate
/// always finds the caches as the same neighbour left them.
package enum Sampler {
  /// A body shorter than this, in seconds, is called several times per sample: the clock's grain and the two calls
  /// that read it then stay below a thousandth.
  package static let shortestSample = 50e-6
  /// A body shorter than this, in seconds, is called ``warmingCalls`` times before each of its samples: its operands may fit
  /// into a cache, where its neighbours leave other ones, or the same for a neighbour that shares them.
  package static let warmedBelow = 5e-3
  /// One call does not bring all operands back: a dense product of one token that takes 0.286 ms after two calls takes
  /// 0.414 ms after one.
  package static let warmingCalls = 2
  /// Calls per sample and samples per candidate are never more, so that an empty body ends too.
  package static let mostCallsPerSample = 1 << 20
  package static let mostRepeats = 10_000

  /// One timing per candidate, in their order: median over at least `minimumRepeats` rounds, and over as many more as
  /// begin within `budget` seconds, whatever the budget up to ``mostRepeats``.
  ///
  /// - Every candidate is called before the first round, untimed by the budget: to warm caches, pools and branch
  ///   predictors, and to calibrate the calls per sample.
  /// - `prepare` runs before every sample and is not timed (to empty the caches, for instance). With it, a sample is
  ///   always one call, since it could not run between the calls of one sample.
  /// - What a body throws ends the whole and is thrown on.
  package static func interleave(
    _ candidates: [(name: String, body: () throws -> Void)], minimumRepeats: Int = 7, budget: Double,
    prepare: (() throws -> Void)? = nil, clock: () -> Double = Clock.seconds
  ) throws -> [Timing] {
    guard !candidates.isEmpty else { return [] }
    var calls: [Int] = [], warmed: [Bool] = []
    for candidate in candidates {
      try candidate.body()
      let (count, seconds) = prepare == nil ? try calibrated(candidate.body, clock) : (1, .infinity)
      calls.append(count)
      warmed.append(seconds / Double(count) < warmedBelow)
    }

    let least = min(max(minimumRepeats, 1), mostRepeats)
    var samples = [[Double]](repeating: [], count: candidates.count)
    let start = clock()
    var round = 0
    while round < least || (round < mostRepeats && clock() - start < budget) {
      for turn in candidates.indices {
        let index = (round + turn) % candidates.count
        try prepare?()
        if warmed[index] { for _ in 0..<warmingCalls { try candidates[index].body() } }
        samples[index].append(try sample(candidates[index].body, calls: calls[index], clock) / Double(calls[index]))
      }
      round += 1
    }
    return candidates.indices.map {
      Timing(name: candidates[$0].name, samples: samples[$0], callsPerSample: calls[$0])
    }
  }

  /// The least number of calls, nearly, that takes ``shortestSample``: grown from 1 until it does.
  private static func calibrated(
    _ body: () throws -> Void, _ clock: () -> Double
  ) throws -> (calls: Int, seconds: Double) {
    var calls = 1, seconds = 0.0
    while calls < mostCallsPerSample {
      seconds = try sample(body, calls: calls, clock)
      if seconds >= shortestSample { break }
      // A tenth more than proportional; at least twice, at most tenfold, since a first short sample is uncertain.
      let factor = seconds > 0 ? min(1.1 * shortestSample / seconds, 10) : 10
      calls = min(max(calls * 2, Int(Double(calls) * factor)), mostCallsPerSample)
    }
    return (calls, seconds)
  }

  private static func sample(_ body: () throws -> Void, calls: Int, _ clock: () -> Double) throws -> Double {
    let start = clock()
    for _ in 0..<calls { try body() }
    return clock() - start
  }
}
