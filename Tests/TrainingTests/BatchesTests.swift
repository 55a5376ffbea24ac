import Arrays
import Testing
import Training

@Suite("Batches")
struct BatchesTests {
  /// The first `epochs` epochs of window starts, taken with batch size 1.
  private func epochs(_ count: Int, tokens: Int, sequence: Int, seed: UInt64) throws -> [[Int]] {
    let batches = try Batches(tokens: tokens, sequence: sequence, batch: 1, seed: seed)
    let length = batches.windowsPerEpoch
    return (0..<count).map { epoch in (0..<length).flatMap { batches.starts(step: epoch * length + $0) } }
  }

  @Test(
    "an epoch visits disjoint windows, each once, inside the text, and leaves fewer than two windows' tokens out",
    arguments: [(2, 1), (3, 1), (17, 16), (32, 16), (33, 16), (34, 16), (1000, 7), (4096, 3), (99_999, 128)])
  func visitsEveryWindowOnce(tokens: Int, sequence: Int) throws {
    for epoch in try epochs(3, tokens: tokens, sequence: sequence, seed: 5) {
      var used = [Bool](repeating: false, count: tokens)
      for start in epoch {
        try #require(start >= 0 && start + sequence < tokens)
        #expect(!used[start...(start + sequence)].contains(true))
        for token in start...(start + sequence) { used[token] = true }
      }
      #expect(used.count { !$0 } < 2 * (sequence + 1))
      let offsets = Set(epoch.map { $0 % (sequence + 1) })
      #expect(offsets.count == 1)
    }
  }

  @Test("the windows in a row are the same whatever the batch size", arguments: [2, 3, 8, 61, 200])
  func independentOfBatch(batch: Int) throws {
    let single = try Batches(tokens: 1000, sequence: 15, batch: 1, seed: 9)
    let several = try Batches(tokens: 1000, sequence: 15, batch: batch, seed: 9)
    let steps = 1 + 300 / batch
    #expect(
      (0..<steps).flatMap { several.starts(step: $0) } == (0..<steps * batch).flatMap { single.starts(step: $0) })
  }

  @Test("a step's windows depend on the step alone, not on the steps asked for before")
  func stateless() throws {
    let walked = try Batches(tokens: 5000, sequence: 9, batch: 7, seed: 1)
    let all = (0..<300).map { walked.starts(step: $0) }
    let resumed = try Batches(tokens: 5000, sequence: 9, batch: 7, seed: 1)
    for step in stride(from: 299, through: 0, by: -13) { #expect(resumed.starts(step: step) == all[step]) }
  }

  @Test("epochs differ in order and in offset, and so do seeds")
  func epochsDiffer() throws {
    let first = try epochs(20, tokens: 10_000, sequence: 31, seed: 1)
    let second = try epochs(20, tokens: 10_000, sequence: 31, seed: 2)
    let orders = (first + second).map { epoch in epoch.map { $0 / 32 } }
    #expect(Set(orders).count == 40)
    #expect(Set(first.map { $0[0] % 32 }).count > 5)
  }

  /// Whether n draws look uniform over k cells: Pearson's statistic is then about chi-squared with d = k - 1, which
  /// exceeds d + 2 sqrt(d x) + 2 x with probability below exp(-x) (Laurent and Massart 2000); here x = 14.
  private func looksUniform(_ counts: [Int]) -> Bool {
    let expected = Double(counts.reduce(0, +)) / Double(counts.count)
    let statistic = counts.reduce(0.0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    let freedom = Double(counts.count - 1)
    return statistic < freedom + 2 * (freedom * 14).squareRoot() + 2 * 14
  }

  @Test(
    "over many epochs every window comes at every place equally often, and every offset too",
    arguments: [2, 3, 5, 8, 21])
  func shuffleIsUniform(windows: Int) throws {
    let sequence = 3
    let all = try epochs(4000, tokens: windows * 4 + 3, sequence: sequence, seed: 77)
    try #require(all[0].count == windows)
    for place in [0, 1, windows - 1] {
      var counts = [Int](repeating: 0, count: windows)
      for epoch in all { counts[epoch[place] / 4] += 1 }
      #expect(looksUniform(counts))
    }
    var offsets = [Int](repeating: 0, count: 4)
    for epoch in all { offsets[epoch[0] % 4] += 1 }
    #expect(looksUniform(offsets))
  }

  @Test("three windows come in all six orders equally often")
  func everyOrder() throws {
    let all = try epochs(6000, tokens: 3 * 4 + 3, sequence: 3, seed: 3)
    var counts: [[Int]: Int] = [:]
    for epoch in all { counts[epoch.map { $0 / 4 }, default: 0] += 1 }
    #expect(counts.count == 6)
    #expect(looksUniform(Array(counts.values)))
  }

  @Test("evaluation windows are disjoint, inside the text, evenly spread from its first token to its last")
  func evaluationWindows() throws {
    for tokens in [10, 19, 20, 57, 100, 1003] {
      let batches = try Batches(tokens: tokens, sequence: 9, batch: 1, seed: 0)
      for count in [0, 1, 2, 3, 10, 1_000_000, Int.max] {
        let starts = batches.evaluationStarts(count: count)
        #expect(starts.count == min(count, tokens / 10))
        #expect(starts.first ?? 0 == 0)
        if starts.count > 1 {
          #expect(starts.last == tokens - 10)
          let gaps = zip(starts.dropFirst(), starts).map { $0 - $1 }
          #expect(gaps.min()! >= 10)
          #expect(gaps.max()! - gaps.min()! <= 1)
        }
      }
    }
  }

  @Test("the last step that a number can name stays inside the text")
  func hugeSteps() throws {
    let batches = try Batches(tokens: 1000, sequence: 9, batch: 4, seed: 0)
    for start in batches.starts(step: Int.max) { #expect(start >= 0 && start + 9 < 1000) }
  }

  @Test(
    "texts too short, empty sequences and batches, and steps of 2^31 tokens are refused",
    arguments: [
      (0, 1, 1), (16, 16, 1), (100, 0, 1), (100, 1, 0), (100, -1, -1), (100, Int.max, 1), (1000, 2, 1 << 30),
      (100, 1, Int.max), (Int.min, 1, 1),
    ])
  func refusals(tokens: Int, sequence: Int, batch: Int) {
    let error = #expect(throws: Refusal.self) {
      try Batches(tokens: tokens, sequence: sequence, batch: batch, seed: 0)
    }
    #expect(error?.kind == .badInput)
  }
}
