import Arrays
import Devices
import Foundation
import Model
import Training

/// How well a model predicts given tokens: -ln p(token | the ones before), in nats.
extension LoadedModel {
  /// nll[i] is that of token i + 1 given the tokens 0 ... i, all of them in one sequence.
  package func score(_ tokens: [Int32]) throws -> [Float] {
    let vocabulary = stored.configuration.architecture.vocabularySize
    guard tokens.count >= 2 else {
      throw Refusal.badInput("\(tokens.count) tokens have no next token to score; give 2 or more")
    }
    if let place = tokens.firstIndex(where: { !(0..<vocabulary).contains(Int($0)) }) {
      throw Refusal.badInput(
        "token \(tokens[place]) at position \(place) is not in the vocabulary of \(vocabulary); give numbers from 0 to \(vocabulary - 1)"
      )
    }
    let model = try mistral(batch: 1, sequence: tokens.count - 1)
    return try model.tokenLosses(inputs: Array(tokens.dropLast()), targets: Array(tokens.dropFirst()))
  }

  /// The mean over a whole text: every token but the first is predicted once, from the tokens before it in its window of
  /// `sequence` tokens; windows follow each other without overlap.
  package func evaluate(
    _ stream: TokenStream, sequence: Int, batch: Int, progress: (_ done: Int, _ total: Int) throws -> Void
  ) throws -> (loss: Double, tokens: Int) {
    let vocabulary = stored.configuration.architecture.vocabularySize
    guard stream.count >= 2 else {
      throw Refusal.badInput(
        "a text of \(stream.count == 0 ? "no token" : "one token") has no next token to predict; give more text")
    }
    guard stream.largest < vocabulary else {
      throw Refusal.badInput(
        "the text has the token \(stream.largest) and the model a vocabulary of \(vocabulary); "
          + "give text in the tokens that the model was trained with")
    }
    let predicted = stream.count - 1
    let sequence = min(sequence, predicted)
    let windows = (predicted + sequence - 1) / sequence
    let batch = min(batch, windows)
    let model = try mistral(batch: batch, sequence: sequence)
    var sum = 0.0, counted = 0
    for first in stride(from: 0, to: windows, by: batch) {
      var inputs: [Int32] = [], targets: [Int32] = []
      for window in first..<first + batch {
        let start = window * sequence
        let length = max(0, min(sequence, predicted - start))
        let row = length > 0 ? try stream.tokens(start..<start + length + 1) : []
        let padding = sequence - length
        inputs += row.dropLast() + [Int32](repeating: 0, count: padding)
        targets += row.dropFirst() + [Int32](repeating: -1, count: padding)
      }
      let loss = try model.loss(inputs: inputs, targets: targets)
      sum += loss.sum
      counted += loss.tokens
      try progress(min(windows, first + batch), windows)
    }
    guard sum.isFinite else { throw Refusal.failed("the loss of \(stored.path) is \(sum); its weights are damaged") }
    return (sum / Double(counted), counted)
  }
}
