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

  /// Bytes that one training run holds: values, gradients and two moments, and the activations of a batch.
  public func trainingBytes(batch: Int, sequence: Int) -> Int {
    let a = architecture, tokens = Double(batch) * Double((sequence + 15) / 16 * 16)
    let queries = a.heads * a.headDimension, keys = a.keyValueHeads * a.headDimension
    let saved = mlpLinears.reduce(0) { $0 + $1.structure.savedFeatures }
    let kept = a.layers * (4 * a.hiddenSize + 2 * queries + 2 * keys + a.heads + 3 * a.intermediateSize + 2) + saved
    let passing = 4 * a.hiddenSize + 2 * a.intermediateSize + 2 * queries + 2 * keys
    let bytes =
      16 * Double(parameterCount) + 4 * tokens * Double(kept + passing) + 4 * min(tokens, 256)
      * Double(a.vocabularySize + a.hiddenSize)
    return Int(min(bytes, 0x1p62))
  }

  /// Bytes of dense matrices beside the MLP's during training, and of what passes through them.
  package func companionBytes(_ role: DenseCompanion.Role, batch: Int, sequence: Int) -> Int {
    let weights = structuredLinears.reduce(0.0) { $0 + Double($1.structure.shape.count) }
    let passing = role == .guide ? Double(batch) * Double(sequence) * Double(architecture.intermediateSize) : 0
    return Int(min(4 * passing + (role == .observer ? 4 : 16) * weights, 0x1p62))
  }
}
