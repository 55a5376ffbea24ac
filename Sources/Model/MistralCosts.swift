import Structures

/// What a training step of the model on paper costs.
extension MistralPlan {
  /// Floating-point operations of one training step: the three products of every matrix, as its structure counts
  /// them; attention's two products forward and five backward, over the pairs that see
  /// each other.
  public func flopsPerStep(batch: Int, sequence: Int) -> Double {
    let products = linears.reduce(0.0) { $0 + MistralPlan.flops($1.structure, tokens: batch * sequence) }
    return products + attentionFlops(batch: batch, sequence: sequence)
  }

  package static func flops(_ structure: any Structure, tokens: Int) -> Double {
    let cost = structure.cost(tokens: tokens)
    return Double(cost.flops) + Double(cost.backwardFlops)
  }

  private func attentionFlops(batch: Int, sequence: Int) -> Double {
    let window = architecture.slidingWindow ?? sequence
    let pairs = (0..<sequence).reduce(0) { $0 + min($1 + 1, window) }
    let queries = architecture.heads * architecture.headDimension * architecture.layers
    return 2 * 7 * Double(batch) * Double(pairs) * Double(queries)
  }
}
