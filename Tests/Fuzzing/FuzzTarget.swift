import Arrays

/// A parser that is given damaged inputs: whatever they are, it gives a result or a refusal, soon, and takes no more memory
/// than its file allows.
///
/// What a target cannot see for itself (a trap, a hang, an allocation without bound) ends the process; the program `fuzz`
/// then says with which input, and ``input(_:)`` makes that input again.
package struct FuzzTarget: Sendable {
  package let name: String
  let seeds: [[UInt8]]
  let words: [String]
  private let parse: @Sendable ([UInt8]) throws -> Void

  init(
    _ name: String, seeds: [[UInt8]], words: [String] = [], _ parse: @escaping @Sendable ([UInt8]) throws -> Void
  ) {
    self.name = name
    self.seeds = seeds
    self.words = words
    self.parse = parse
  }

  /// The n-th input; the seeds themselves come first.
  package func input(_ number: Int) -> [UInt8] {
    if number < seeds.count { return seeds[number] }
    var mutator = Mutator(seeds, words: words, number: UInt64(number))
    return mutator.input()
  }

  /// Parses the input; a refusal is as good as a result.
  /// - Returns: whether it was accepted.
  /// - Throws: whatever is no refusal, which no parser may.
  package func run(_ number: Int) throws -> Bool {
    do {
      try parse(input(number))
      return true
    } catch is Refusal {
      return false
    }
  }
}
