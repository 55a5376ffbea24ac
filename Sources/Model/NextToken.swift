import Arrays
import Devices
import Structures

extension Parameters {
  /// All zeros, to be filled from a file.
  package convenience init(zerosFor plan: MistralPlan, on device: any Device) throws {
    try self.init(plan.tensors, initial: [Float](repeating: 0, count: plan.parameterCount), on: device)
  }
}

extension Mistral {
  /// The logits of the token after the last of `tokens`, which is at most `sequence` tokens; for a batch of 1.
  package func logits(after tokens: [Int32]) throws -> [Float] {
    guard batch == 1, (1...sequence).contains(tokens.count) else {
      throw Refusal.badInput("\(tokens.count) tokens do not fit a model of \(batch) sequences of \(sequence)")
    }
    guard tokens.allSatisfy({ (0..<architecture.vocabularySize).contains(Int($0)) }) else {
      throw Refusal.badInput(
        "token \(tokens.max() ?? 0) is not in the vocabulary of \(architecture.vocabularySize); is it the right tokenizer?"
      )
    }
    // The tokens after the last change nothing before them: attention is causal.
    try forward(tokens + [Int32](repeating: -1, count: state.final.tokens - tokens.count))
    let granularity = device.tokenGranularity
    let last = tokens.count - 1
    let head = plan.outputLoss.head
    return try device.withScratch(tokens: granularity, features: state.final.features) { part in
      try device.copyTokens(state.final, from: last / granularity * granularity, to: part)
      let outputs = head.structure.shape.outputs
      return try device.withScratch(tokens: granularity, features: outputs) { logits in
        try head.forward(part, parameters, into: logits, on: device)
        let rows = try device.rows(logits), row = last % granularity
        return Array(rows[row * outputs..<(row + 1) * outputs])
      }
    }
  }

  /// Every MLP matrix that is stored other than dense: the name of its weight, its structure, where its values are.
  package var structuredMatrices: [(weight: String, structure: any Structure, range: Range<Int>)] {
    plan.mlpLinears.filter { !($0.structure is Dense) }.map { ("\($0.name).weight", $0.structure, $0.range) }
  }
}
