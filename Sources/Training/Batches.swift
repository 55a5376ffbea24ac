import Arrays

/// Which windows of `sequence` + 1 tokens a step trains on, as a function of the step number alone: resuming needs no
/// other state.
///
/// With W = sequence + 1 there are K = max(1, floor((tokens - W + 1) / W)) windows in every epoch e, window i at
///
///     o_e + W pi_e(i),   0 <= i < K
///
/// where the offset o_e (below W) and the permutation pi_e are drawn from the seed and e. Windows of one epoch do not
/// overlap; the fewer than 2 W tokens left out differ from epoch to epoch. Step s takes the windows s B ..< (s + 1) B of
/// all epochs in a row, so the sequence of windows is the same for every batch size B.
/// pi_e is a Feistel network over the even number of bits that K needs, walked until it falls below K (Black and Rogaway
/// 2002, "Ciphers with arbitrary finite domains"): O(1) memory, at most four walks expected per window.
/// Refused: fewer than W tokens; a sequence or batch below 1; a step of 2^31 tokens or more.
package struct Batches: Sendable {
  package let tokens: Int
  package let sequence: Int
  package let batch: Int
  package let seed: UInt64
  /// K.
  package let windowsPerEpoch: Int

  private static let rounds = 6
  private let largestOffset: Int
  private let halfBits: UInt64

  package init(tokens: Int, sequence: Int, batch: Int, seed: UInt64) throws {
    guard sequence >= 1, batch >= 1 else {
      throw Refusal.badInput("a batch of \(batch) sequences of \(sequence) tokens is empty: both must be at least 1")
    }
    guard tokens > sequence else {
      throw Refusal.badInput(
        "the text has \(tokens) tokens, and a sequence of \(sequence) needs one more than that: "
          + "give more text or a shorter sequence")
    }
    guard batch <= Int(Int32.max) / sequence else {
      throw Refusal.badInput(
        "a batch of \(batch) sequences of \(sequence) tokens has 2^31 tokens or more: give a smaller batch")
    }
    self.tokens = tokens
    self.sequence = sequence
    self.batch = batch
    self.seed = seed
    let window = sequence + 1
    windowsPerEpoch = max(1, (tokens - window + 1) / window)
    largestOffset = min(window - 1, tokens - windowsPerEpoch * window)
    let bits = UInt64(Int.bitWidth - (windowsPerEpoch - 1).leadingZeroBitCount)
    halfBits = max(1, (bits + 1) / 2)
  }

  /// Where the `batch` windows of a step begin. Windows are numbered modulo 2^64, which no run reaches.
  package func starts(step: Int) -> [Int] {
    precondition(step >= 0, "steps count from 0")
    let first = UInt64(step) &* UInt64(batch)
    let perEpoch = UInt64(windowsPerEpoch)
    var epoch = Epoch(first / perEpoch, self)
    return (0..<UInt64(batch)).map { row in
      let (number, index) = (first &+ row).quotientAndRemainder(dividingBy: perEpoch)
      if number != epoch.number { epoch = Epoch(number, self) }
      return epoch.offset + (sequence + 1) * permute(Int(index), epoch.keys)
    }
  }

  /// `count` windows spread evenly from the first token to the last, the same at every call, without overlap; fewer
  /// where the text has not so many.
  package func evaluationStarts(count: Int) -> [Int] {
    let number = min(count, tokens / (sequence + 1))
    if number <= 1 { return number == 1 ? [0] : [] }
    return (0..<number).map { index in
      (number - 1).dividingFullWidth(index.multipliedFullWidth(by: tokens - sequence - 1)).quotient
    }
  }

  /// What an epoch draws.
  private struct Epoch {
    let number: UInt64
    let offset: Int
    let keys: [UInt64]

    init(_ number: UInt64, _ batches: Batches) {
      var generator = SeededGenerator(seed: batches.seed, "epoch \(number)")
      self.number = number
      offset = generator.index(below: batches.largestOffset + 1)
      keys = (0..<Batches.rounds).map { _ in generator.next() }
    }
  }

  /// pi_e(index): each round is (l, r) -> (r, l xor f(r)), a bijection whatever f is.
  private func permute(_ index: Int, _ keys: [UInt64]) -> Int {
    let mask: UInt64 = (1 << halfBits) - 1
    var value = UInt64(index)
    repeat {
      var left = value >> halfBits
      var right = value & mask
      for key in keys {
        var noise = SeededGenerator(seed: key ^ right)
        (left, right) = (right, left ^ (noise.next() & mask))
      }
      value = left << halfBits | right
    } while value >= UInt64(windowsPerEpoch)
    return Int(value)
  }
}
