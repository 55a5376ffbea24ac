import Arrays
import Devices
import Foundation
import Model

/// Text from a model, token by token: the same seed gives the same text.
///
///     p(t) ~ exp(logit(t) / temperature)   over the fewest likeliest tokens whose probabilities sum to topP or more
///
/// Temperature 0 takes the likeliest token, the first of equals. Every token is computed from all tokens before it, anew:
/// O(n^2) products for n tokens and no memory beside the model's, which is meant for looking at a model, not for serving.
/// Source of top-p: Holtzman et al. 2020, arXiv 1904.09751.
package struct TextGeneration {
  package let temperature: Double
  package let topP: Double
  private var generator: SeededGenerator

  package init(temperature: Double, topP: Double, seed: UInt64) throws {
    guard temperature >= 0, temperature.isFinite else {
      throw Refusal.badInput("a temperature of \(temperature) cannot be used; give 0 or more")
    }
    guard topP > 0, topP <= 1 else { throw Refusal.badInput("a top-p of \(topP) is not above 0 and at most 1") }
    self.temperature = temperature
    self.topP = topP
    generator = SeededGenerator(seed: seed, "generate")
  }

  /// - Parameters:
  ///   - ends: tokens after which the text is over; the one that ended it is not returned.
  ///   - token: called with each token as it comes; false stops.
  package mutating func run(
    _ model: LoadedModel, prompt: [Int32], most: Int, ends: Set<Int32>, token: (Int32) throws -> Bool
  ) throws -> [Int32] {
    guard !prompt.isEmpty else {
      throw Refusal.badInput(
        "an empty prompt has no token to go on from, and this tokenizer none to begin with; give a --prompt")
    }
    var tokens = prompt
    var room = 0
    var mistral: Mistral?
    while tokens.count - prompt.count < most {
      if tokens.count > room {
        room = max(64, 2 * tokens.count)
        mistral = nil
        mistral = try model.mistral(batch: 1, sequence: room)
      }
      let next = try choose(mistral!.logits(after: tokens))
      if ends.contains(next) { break }
      tokens.append(next)
      if try !token(next) { break }
    }
    return Array(tokens[prompt.count...])
  }

  package mutating func choose(_ logits: [Float]) throws -> Int32 {
    guard let largest = logits.max(), largest.isFinite, !logits.contains(where: \.isNaN) else {
      throw Refusal.failed("the model's logits are not numbers; its weights are damaged")
    }
    if temperature == 0 { return Int32(logits.firstIndex(of: largest)!) }
    let weights = logits.map { exp((Double($0) - Double(largest)) / temperature) }
    let sum = weights.reduce(0, +)
    var order = Array(logits.indices)
    var kept = sum
    if topP < 1 {
      order.sort { (weights[$0], $1) > (weights[$1], $0) }
      var count = 0
      kept = 0
      while kept < topP * sum, count < order.count {
        kept += weights[order[count]]
        count += 1
      }
      order.removeLast(order.count - count)
    }
    var left = generator.uniform() * kept
    for token in order {
      left -= weights[token]
      if left < 0 { return Int32(token) }
    }
    // Rounding left a crumb: the last one that can occur.
    return Int32(order.last { weights[$0] > 0 } ?? order[0])
  }
}
