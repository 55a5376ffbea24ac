import Arrays
import Foundation

/// The text of a run in two parts that share no byte: one to train on, one to validate on.
///
/// Refused: a part with fewer than `sequence` + 1 tokens.
package struct Corpus: Sendable {
  /// For people: "generated (seed 1)", or the paths given.
  package let name: String
  package let training: TokenStream
  package let validation: TokenStream
  /// -sum_b p_b ln p_b over the byte frequencies of the training text, nats per token.
  package let unigramEntropy: Double
  /// Nats per token where the source is known.
  package let entropyRate: Double?
  /// What reading the training files met; nil for a generated text.
  package let trainingCounts: TextFiles.Counts?
  /// What reading separate validation files met.
  package let validationCounts: TextFiles.Counts?

  /// Held out of a text that came without a validation part: a twentieth, at most so many bytes.
  package static let largestHoldout = 2_000_000

  package init(
    name: String, training: [UInt8], validation: [UInt8], sequence: Int, entropyRate: Double? = nil,
    trainingCounts: TextFiles.Counts? = nil, validationCounts: TextFiles.Counts? = nil
  ) throws {
    guard sequence >= 1 else {
      throw Refusal.badInput("A sequence of \(sequence) tokens is too short: it must be at least 1.")
    }
    for (part, bytes) in [("training", training), ("validation", validation)] where bytes.count <= sequence {
      throw Refusal.badInput(
        "The \(part) text of \(name) has \(bytes.count) bytes, and a sequence of \(sequence) tokens needs one more "
          + "than that: give more text or a shorter sequence.")
    }
    self.name = name
    self.training = TokenStream(training)
    self.validation = TokenStream(validation)
    self.entropyRate = entropyRate
    self.trainingCounts = trainingCounts
    self.validationCounts = validationCounts
    unigramEntropy = Corpus.entropy(training)
  }

  /// The built-in text: two streams of one ``GeneratedCorpus``.
  package static func generated(
    seed: UInt64, sequence: Int, trainingBytes: Int = 2_000_000, validationBytes: Int = 100_000
  ) throws -> Corpus {
    let source = GeneratedCorpus(seed: seed)
    return try Corpus(
      name: "generated (seed \(seed))", training: source.text(bytes: trainingBytes),
      validation: source.text(bytes: validationBytes, stream: "validation"), sequence: sequence,
      entropyRate: source.entropyRate)
  }

  /// The text at `data`; validation is the text at `validation`, or, where none is given, the end of `data`.
  package static func files(data: [String], validation: [String] = [], sequence: Int) throws -> Corpus {
    guard !data.isEmpty else {
      throw Refusal.badInput("No training text was given: name files or directories of text.")
    }
    let name = data.joined(separator: ", ")
    let text = try TextFiles(reading: data)
    if validation.isEmpty {
      let cut = try holdoutStart(text.bytes, sequence: sequence, name: name)
      return try Corpus(
        name: name, training: Array(text.bytes[..<cut]), validation: Array(text.bytes[cut...]), sequence: sequence,
        trainingCounts: text.counts)
    }
    let held = try TextFiles(reading: validation)
    return try Corpus(
      name: name, training: text.bytes, validation: held.bytes, sequence: sequence, trainingCounts: text.counts,
      validationCounts: held.counts)
  }

  /// Where the part held out begins, at a line's first byte where it can.
  ///
  /// At most h = max(sequence + 1, min(count / 20, `largestHoldout`)) bytes are held out and at least
  /// max(sequence + 1, h / 2): among these the first beginning of a line, else of a character, else the first.
  /// Refused: fewer than 2 (sequence + 1) bytes.
  package static func holdoutStart(_ bytes: [UInt8], sequence: Int, name: String) throws -> Int {
    guard sequence >= 1, sequence < bytes.count / 2 else {
      throw Refusal.badInput(
        "The text of \(name) has \(bytes.count) bytes, too few to train on and hold out a sequence of \(sequence) "
          + "tokens and its target each: give more text, a shorter sequence, or a validation text of its own.")
    }
    let most = max(sequence + 1, min(bytes.count / 20, largestHoldout))
    let least = max(sequence + 1, most / 2)
    let candidates = bytes.count - most...bytes.count - least
    return candidates.first { bytes[$0 - 1] == UInt8(ascii: "\n") }
      ?? candidates.first { bytes[$0] & 0xc0 != 0x80 } ?? candidates.lowerBound
  }

  private static func entropy(_ bytes: [UInt8]) -> Double {
    var counts = [Int](repeating: 0, count: 256)
    bytes.withUnsafeBufferPointer { bytes in for byte in bytes { counts[Int(byte)] += 1 } }
    return counts.reduce(0.0) { sum, count in
      if count == 0 { return sum }
      let frequency = Double(count) / Double(bytes.count)
      return sum - frequency * log(frequency)
    }
  }
}
