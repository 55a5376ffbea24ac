import Arrays
import Foundation

/// A text source whose entropy rate is known, so that a trained model's loss has a floor to be measured against.
///
/// A stationary first-order Markov chain over `wordCount` invented words: word i is followed by one of its
/// `successorCount` successors j with probability p_ij, and is written as its letters and a blank, or, for the words that
/// end a sentence, a full stop and a newline. The words are distinct and of letters only, so the bytes determine the
/// chain's states and
///
///     entropyRate = sum_i pi_i H_i / sum_i pi_i l_i     nats per byte
///
/// with pi the stationary distribution (pi P = pi), H_i = -sum_j p_ij ln p_ij, and l_i the bytes of word i as written
/// (Shannon 1948, section 7). Word i has word i + 1 among its successors, which makes the chain irreducible, and word 0
/// has itself, which makes it aperiodic. Probabilities are ratios of integers and nothing but + - x / decides what
/// comes next: the same seed gives the same bytes on every machine.
package struct GeneratedCorpus: Sendable {
  package static let wordCount = 384
  package static let successorCount = 8
  /// One word in so many ends a sentence.
  package static let sentenceEndInterval = 12

  /// Nats per byte; no model's mean loss on fresh text of this source is expected to be lower.
  package let entropyRate: Double
  /// Every word as written, with what follows its letters.
  package let words: [[UInt8]]
  /// [wordCount, successorCount]: p_ij = weight / sum of the row's weights.
  package let successors: [Int]
  package let weights: [Int]
  /// pi; its L1 residual is below 1e-14.
  package let stationary: [Double]
  private let seed: UInt64

  package init(seed: UInt64) {
    self.seed = seed
    words = GeneratedCorpus.makeWords(seed)
    (successors, weights) = GeneratedCorpus.makeChain(seed)
    stationary = GeneratedCorpus.makeStationary(successors, weights)
    var entropy = 0.0
    var length = 0.0
    for word in 0..<GeneratedCorpus.wordCount {
      let row = GeneratedCorpus.row(word)
      let total = Double(weights[row].reduce(0, +))
      let weighted = weights[row].reduce(0.0) { $0 + Double($1) * log(Double($1)) }
      entropy += stationary[word] * (log(total) - weighted / total)
      length += stationary[word] * Double(words[word].count)
    }
    entropyRate = entropy / length
  }

  /// The first `bytes` bytes of a stream; streams with other names are independent draws from the same source.
  package func text(bytes: Int, stream: String = "training") -> [UInt8] {
    var generator = SeededGenerator(seed: seed, "corpus stream \(stream)")
    var text: [UInt8] = []
    text.reserveCapacity(max(bytes, 0) + 16)
    var word = firstWord(&generator)
    while text.count < bytes {
      text += words[word]
      word = successor(of: word, &generator)
    }
    text.removeLast(text.count - max(bytes, 0))
    return text
  }

  private static func row(_ word: Int) -> Range<Int> { word * successorCount..<(word + 1) * successorCount }

  private func firstWord(_ generator: inout SeededGenerator) -> Int {
    var rest = generator.uniform()
    for (word, probability) in stationary.enumerated() {
      if rest < probability { return word }
      rest -= probability
    }
    return 0
  }

  private func successor(of word: Int, _ generator: inout SeededGenerator) -> Int {
    let row = GeneratedCorpus.row(word)
    var total = 0
    for entry in row { total += weights[entry] }
    var rest = generator.index(below: total)
    for entry in row {
      if rest < weights[entry] { return successors[entry] }
      rest -= weights[entry]
    }
    preconditionFailure("a draw below the sum of the weights")
  }

  /// One to three syllables of two to three letters: two to nine letters.
  private static func makeWords(_ seed: UInt64) -> [[UInt8]] {
    let onsets = Array("bdfghjklmnprstvwz".utf8)
    let vowels = Array("aeiou".utf8)
    let codas = Array("lmnrst".utf8)
    var generator = SeededGenerator(seed: seed, "corpus words")
    var met = Set<[UInt8]>()
    var words: [[UInt8]] = []
    while words.count < wordCount {
      var letters: [UInt8] = []
      for _ in 0...generator.index(below: 3) {
        letters.append(onsets[generator.index(below: onsets.count)])
        letters.append(vowels[generator.index(below: vowels.count)])
        if generator.index(below: 2) == 0 { letters.append(codas[generator.index(below: codas.count)]) }
      }
      if !met.insert(letters).inserted { continue }
      let endsSentence = words.count % sentenceEndInterval == sentenceEndInterval - 1
      words.append(letters + Array((endsSentence ? ".\n" : " ").utf8))
    }
    return words
  }

  /// Successors in random order; their weights fall geometrically, by a ratio of 6/16 to 13/16 that is the word's own.
  private static func makeChain(_ seed: UInt64) -> (successors: [Int], weights: [Int]) {
    var generator = SeededGenerator(seed: seed, "corpus chain")
    var successors: [Int] = []
    var weights: [Int] = []
    for word in 0..<wordCount {
      var chosen = [(word + 1) % wordCount]
      if word == 0 { chosen.append(word) }
      while chosen.count < successorCount {
        let candidate = generator.index(below: wordCount)
        if !chosen.contains(candidate) { chosen.append(candidate) }
      }
      for place in 0..<successorCount {
        chosen.swapAt(place, place + generator.index(below: successorCount - place))
      }
      successors += chosen
      let sixteenths = 6 + generator.index(below: 8)
      var weight = 1 << 16
      for _ in 0..<successorCount {
        weights.append(weight)
        weight = weight * sixteenths / 16
      }
    }
    return (successors, weights)
  }

  /// pi by power iteration from the uniform distribution.
  private static func makeStationary(_ successors: [Int], _ weights: [Int]) -> [Double] {
    let probabilities = (0..<wordCount).flatMap { word -> [Double] in
      let total = Double(weights[row(word)].reduce(0, +))
      return weights[row(word)].map { Double($0) / total }
    }
    var now = [Double](repeating: 1 / Double(wordCount), count: wordCount)
    for _ in 0..<100_000 {
      var next = [Double](repeating: 0, count: wordCount)
      for word in 0..<wordCount {
        for entry in row(word) { next[successors[entry]] += now[word] * probabilities[entry] }
      }
      let sum = next.reduce(0, +)
      var change = 0.0
      for word in 0..<wordCount {
        next[word] /= sum
        change += abs(next[word] - now[word])
      }
      now = next
      if change < 1e-14 { break }
    }
    return now
  }
}
