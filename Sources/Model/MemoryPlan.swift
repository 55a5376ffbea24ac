import Devices
import Structures

/// What a training run adds to its process on the CPU, in bytes, part by part; every buffer counts as what the device takes
/// for it (``CPUDevice/heldBytes(for:)``).
public struct MemoryPlan: Sendable, Equatable {
  /// Values, gradients and two moments.
  public var parameters: Int
  /// What the forward pass keeps for the backward pass.
  public var activations: Int
  /// What is borrowed for a while and then kept to be borrowed again: gradients of activations, logits, turned
  /// activations, packed blocks; and the largest tensor twice, as numbers and bytes on their way to a checkpoint.
  public var passing: Int
  /// The orders in which compressed rows are walked.
  public var patterns: Int
  /// Dense matrices that a method or a guide has beside the model's, and what a change of patterns holds beside them: the new
  /// values and moments while the old ones are there, both patterns, and the lists that it ranks.
  public var beside: Int

  public var total: Int { parameters + activations + passing + patterns + beside }

  /// The larger of the two part by part.
  package func joined(_ other: MemoryPlan) -> MemoryPlan {
    MemoryPlan(
      parameters: max(parameters, other.parameters), activations: max(activations, other.activations),
      passing: max(passing, other.passing), patterns: max(patterns, other.patterns),
      beside: max(beside, other.beside))
  }
}

extension MistralPlan {
  /// A part stays below this, so that sums of parts are numbers too.
  private static let most = 0x1p58

  private static func held(_ bytes: Double) -> Double { Double(CPUDevice.heldBytes(for: Int(min(bytes, most)))) }

  private static func part(_ bytes: Double) -> Int { Int(min(bytes, most)) }

  /// Memory of a run with nothing beside the model, on a device that holds the logits of `logitTokens` tokens at once
  /// (``Device/tokensOfLogits(vocabulary:)``).
  public func memory(batch: Int, sequence: Int, logitTokens: Int) -> MemoryPlan {
    let a = architecture, tokens = Double(batch) * Double((sequence + 15) / 16 * 16)
    let queries = a.heads * a.headDimension, keys = a.keyValueHeads * a.headDimension
    /// Matrices of `tokens` by each of the widths.
    func matrices(_ widths: [Int], tokens: Double) -> Double {
      widths.reduce(0) { $0 + MistralPlan.held(4 * tokens * Double($1)) }
    }
    func repeated(_ count: Int, _ width: Int) -> [Int] { [Int](repeating: width, count: count) }
    let layer =
      repeated(4, a.hiddenSize) + repeated(2, queries) + repeated(2, keys) + [a.heads, 1, 1]
      + repeated(3, a.intermediateSize)
    let saved = mlpLinears.map(\.structure.savedFeatures).filter { $0 > 0 }
    let kept =
      Double(a.layers) * matrices(layer, tokens: tokens) + matrices(saved, tokens: tokens)
      + matrices(repeated(3, a.hiddenSize) + [1], tokens: tokens)
    let gradients =
      [a.hiddenSize] + repeated(2, queries) + repeated(2, keys) + repeated(2, a.intermediateSize) + Set(saved)
    let whole = min(tokens, Double(logitTokens)), rest = tokens.truncatingRemainder(dividingBy: whole)
    let logits = [whole, rest].filter { $0 > 0 }
      .reduce(MistralPlan.held(4 * tokens)) {
        $0 + matrices(repeated(2, a.hiddenSize) + [a.vocabularySize], tokens: $1)
      }
    let turned = Set(linears.map(\.structure.shape.inputs))
      .reduce(0.0) {
        $0 + MistralPlan.held(Double(CPUDevice.turnedBytes(inputs: $1, tokens: Int(min(tokens, 0x1p40)))))
      }
    let blocks = mlpLinears.map(\.structure).filter { $0.singleWeights == nil && $0.count < $0.shape.count }
    let packed = Set(blocks.map { CPUDevice.packedBytes(stored: $0.count, tokens: Int(min(tokens, 0x1p40))) })
      .reduce(0.0) { $0 + Double($1) }
    let patterns = Dictionary(
      mlpLinears.compactMap(\.structure.singleWeights).map { (ObjectIdentifier($0), $0) }, uniquingKeysWith: { $1 })
    let walks = patterns.values.reduce(0.0) {
      $0 + Double(CPUDevice.walkBytes(of: $1, tokens: Int(min(tokens, 0x1p40))))
    }
    let largest = tensors.map(\.range.count).max() ?? 0
    return MemoryPlan(
      parameters: MistralPlan.part(4 * MistralPlan.held(4 * Double(parameterCount))),
      activations: MistralPlan.part(kept),
      passing: MistralPlan.part(matrices(gradients, tokens: tokens) + logits + turned + packed + 8 * Double(largest)),
      patterns: MistralPlan.part(walks), beside: 0)
  }

  /// Bytes of dense matrices beside the MLP's during training, and of what passes through them.
  package func companionBytes(_ role: DenseCompanion.Role, batch: Int, sequence: Int) -> Int {
    let weights = structuredLinears.reduce(0.0) { $0 + Double($1.structure.shape.count) }
    let passing = role == .guide ? Double(batch) * Double(sequence) * Double(architecture.intermediateSize) : 0
    let vectors = role == .observer ? 1.0 : 4
    return MistralPlan.part(vectors * MistralPlan.held(4 * weights) + MistralPlan.held(4 * passing))
  }
}
