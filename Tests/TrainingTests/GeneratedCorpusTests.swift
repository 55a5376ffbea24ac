import Arrays
import Foundation
import Testing
import Training

@Suite("Generated corpus")
struct GeneratedCorpusTests {
  private static let words = GeneratedCorpus.wordCount
  private static let fanOut = GeneratedCorpus.successorCount

  /// P as a dense row-major matrix.
  private func transitions(_ corpus: GeneratedCorpus) -> [Double] {
    var matrix = [Double](repeating: 0, count: Self.words * Self.words)
    for word in 0..<Self.words {
      let row = word * Self.fanOut..<(word + 1) * Self.fanOut
      let total = corpus.weights[row].reduce(0, +)
      for entry in row {
        matrix[word * Self.words + corpus.successors[entry]] += Double(corpus.weights[entry]) / Double(total)
      }
    }
    return matrix
  }

  /// The words of a text, found by their letters and what ends them; nil where something else stands.
  private func parse(_ text: [UInt8], _ corpus: GeneratedCorpus) -> [Int]? {
    var numbers: [[UInt8]: Int] = [:]
    for (number, word) in corpus.words.enumerated() { numbers[word] = number }
    var states: [Int] = []
    var start = 0
    for (place, byte) in text.enumerated() where byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") {
      guard let number = numbers[Array(text[start...place])] else { return nil }
      states.append(number)
      start = place + 1
    }
    let rest = Array(text[start...])
    return corpus.words.contains { $0.starts(with: rest) } ? states : nil
  }

  @Test("the same seed gives the same bytes, a longer text begins with the shorter, streams and seeds differ")
  func deterministic() {
    let corpus = GeneratedCorpus(seed: 1)
    let text = corpus.text(bytes: 20_000)
    #expect(text.count == 20_000)
    #expect(GeneratedCorpus(seed: 1).text(bytes: 20_000) == text)
    #expect(corpus.text(bytes: 777) == Array(text[..<777]))
    #expect(corpus.text(bytes: 20_000, stream: "validation") != text)
    #expect(GeneratedCorpus(seed: 2).text(bytes: 20_000) != text)
    #expect(corpus.text(bytes: 0).isEmpty)
  }

  @Test("the bytes of seed 1 are the ones they have always been")
  func frozen() {
    let corpus = GeneratedCorpus(seed: 1)
    #expect(
      String(decoding: corpus.text(bytes: 60), as: UTF8.self)
        == "lihu haku matejo hifuru tarzis giwalbun mespul finkese rume ")
    #expect(abs(corpus.entropyRate - 0.25030346066512954) < 1e-12)
  }

  @Test("words are distinct, of 2 to 9 lower-case letters, with one ending: a text has one reading", arguments: 0..<5)
  func wordsAreUnambiguous(seed: Int) {
    let corpus = GeneratedCorpus(seed: UInt64(seed))
    let letters = corpus.words.map { word in Array(word.prefix { $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") }) }
    #expect(Set(letters).count == Self.words)
    for (word, spelling) in zip(corpus.words, letters) {
      #expect((2...9).contains(spelling.count))
      #expect([Array(" ".utf8), Array(".\n".utf8)].contains(Array(word[spelling.count...])))
    }
  }

  @Test(
    "every word has distinct successors, and every word is reached from every other, at every large number of steps")
  func chainIsErgodic() {
    let corpus = GeneratedCorpus(seed: 3)
    for word in 0..<Self.words {
      #expect(Set(corpus.successors[word * Self.fanOut..<(word + 1) * Self.fanOut]).count == Self.fanOut)
    }
    #expect(corpus.weights.allSatisfy { $0 > 0 })
    // A chain is irreducible and aperiodic exactly if some power of P has no zero: from every word, the set reached
    // in n steps is all words (and stays so).
    for origin in 0..<Self.words {
      var reached = Set([origin])
      for _ in 0..<40 where reached.count < Self.words {
        reached = Set(reached.flatMap { corpus.successors[$0 * Self.fanOut..<($0 + 1) * Self.fanOut] })
      }
      #expect(reached.count == Self.words)
    }
  }

  /// The stationary distribution by elimination without subtractions (Grassmann, Taksar and Heyman 1985).
  private func stationaryByElimination(_ matrix: [Double]) -> [Double] {
    let n = Self.words
    var p = matrix
    var pi = [Double](repeating: 0, count: n)
    p.withUnsafeMutableBufferPointer { p in
      for last in stride(from: n - 1, to: 0, by: -1) {
        var leaving = 0.0
        for column in 0..<last { leaving += p[last * n + column] }
        for row in 0..<last { p[row * n + last] /= leaving }
        for row in 0..<last where p[row * n + last] != 0 {
          let factor = p[row * n + last]
          for column in 0..<last { p[row * n + column] += factor * p[last * n + column] }
        }
      }
      pi[0] = 1
      for state in 1..<n { for before in 0..<state { pi[state] += pi[before] * p[before * n + state] } }
    }
    let sum = pi.reduce(0, +)
    return pi.map { $0 / sum }
  }

  @Test("the stationary distribution and the entropy rate are those of direct elimination")
  func entropyRateIsExact() {
    let corpus = GeneratedCorpus(seed: 4)
    let matrix = transitions(corpus)
    let pi = stationaryByElimination(matrix)
    // Both are exact but for rounding; power iteration's error is its residual, 1e-14, over the chain's spectral gap,
    // above 0.01.
    #expect(zip(pi, corpus.stationary).reduce(0.0) { $0 + abs($1.0 - $1.1) } < 1e-11)
    var entropy = 0.0
    for (entry, p) in matrix.enumerated() where p > 0 { entropy -= pi[entry / Self.words] * p * log(p) }
    let length = zip(pi, corpus.words).reduce(0.0) { $0 + $1.0 * Double($1.1.count) }
    #expect(abs(corpus.entropyRate - entropy / length) < 1e-11)
  }

  @Test(
    "minus the log-probability of a long text, per byte, is the entropy rate within five standard errors",
    arguments: [1, 8] as [UInt64])
  func textHasItsEntropyRate(seed: UInt64) throws {
    let corpus = GeneratedCorpus(seed: seed)
    let matrix = transitions(corpus)
    let text = corpus.text(bytes: 600_000)
    let states = try #require(parse(text, corpus))
    // X_t = -ln p(w_t | w_t-1) - entropyRate bytes(w_t) has mean zero in the stationary chain. Sums of X over batches of
    // 500 words are nearly independent, so their spread gives the standard error of the whole sum.
    let batch = 500
    var sums: [Double] = []
    var bytes = 0
    var nats = 0.0
    for first in stride(from: 1, through: states.count - batch, by: batch) {
      var sum = 0.0
      for place in first..<first + batch {
        let p = matrix[states[place - 1] * Self.words + states[place]]
        try #require(p > 0)
        let length = corpus.words[states[place]].count
        sum += -log(p) - corpus.entropyRate * Double(length)
        nats -= log(p)
        bytes += length
      }
      sums.append(sum)
    }
    let count = Double(sums.count)
    let mean = sums.reduce(0, +) / count
    let variance = sums.reduce(0.0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
    let error = (variance * count).squareRoot() / Double(bytes)
    #expect(abs(nats / Double(bytes) - corpus.entropyRate) < 5 * error)
    #expect(error < 0.005 * corpus.entropyRate)
  }

  @Test("in a long text each word is followed by its successors as often as the chain says")
  func textFollowsTheChain() throws {
    let corpus = GeneratedCorpus(seed: 6)
    let matrix = transitions(corpus)
    let states = try #require(parse(corpus.text(bytes: 600_000, stream: "validation"), corpus))
    var counts = [Int](repeating: 0, count: Self.words * Self.words)
    var visits = [Int](repeating: 0, count: Self.words)
    for (before, after) in zip(states, states.dropFirst()) {
      counts[before * Self.words + after] += 1
      visits[before] += 1
    }
    // Pearson's statistic of n multinomial draws over k cells has mean k - 1 and variance
    // 2 (k - 1) + (sum 1/p - k^2 - 2 k + 2) / n (Haldane 1937).
    var statistic = 0.0
    var mean = 0.0
    var variance = 0.0
    for word in 0..<Self.words where visits[word] > 0 {
      let n = Double(visits[word])
      let k = Double(Self.fanOut)
      var inverse = 0.0
      for next in 0..<Self.words {
        let p = matrix[word * Self.words + next]
        let count = Double(counts[word * Self.words + next])
        if p == 0 {
          #expect(count == 0)
        } else {
          statistic += (count - n * p) * (count - n * p) / (n * p)
          inverse += 1 / p
        }
      }
      mean += k - 1
      variance += 2 * (k - 1) + (inverse - k * k - 2 * k + 2) / n
    }
    #expect(abs(statistic - mean) < 5 * variance.squareRoot())
    // Over all words, the n-th listed successor comes as often as a sum of independent draws would have it.
    for rank in 0..<Self.fanOut {
      var (excess, variance) = (0.0, 0.0)
      for word in 0..<Self.words {
        let cell = word * Self.words + corpus.successors[word * Self.fanOut + rank]
        let (n, p) = (Double(visits[word]), matrix[cell])
        excess += Double(counts[cell]) - n * p
        variance += n * p * (1 - p)
      }
      #expect(abs(excess) < 5 * variance.squareRoot())
    }
  }

  @Test("knowing the chain is worth far more than knowing the byte frequencies")
  func thereIsSomethingToLearn() throws {
    let corpus = try Corpus.generated(seed: 1, sequence: 16, trainingBytes: 100_000, validationBytes: 1000)
    #expect(try #require(corpus.entropyRate) < corpus.unigramEntropy / 5)
  }
}
