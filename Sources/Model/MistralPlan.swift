import Arrays
import Devices
import Structures

/// A Mistral on paper: every matrix with its structure, every tensor with its place, nothing allocated.
///
/// A dry run prints what this knows; ``Mistral`` makes it real.
public struct MistralPlan: Sendable {
  public let architecture: Architecture
  public let tensors: [ParameterTensor]
  let embedding: Range<Int>
  package let layers: [DecoderLayer]
  let finalNorm: RMSNorm
  let outputLoss: OutputLoss
  private let draw: @Sendable () -> [Float]

  /// - Parameters:
  ///   - structure: label or family for gate, up and down of every layer.
  ///   - density: for labels that leave it open.
  ///   - seed: decides patterns and first values, tensor by tensor.
  ///   - matrix: the structure of an MLP's matrix by its name and shape, where it is known already.
  ///
  /// Gate and up of a layer share one pattern: drawn apart, masks of large blocks remove most hidden units in silence.
  public init(
    _ architecture: Architecture, structure: String, density: Double, seed: UInt64,
    matrix: ((_ name: String, _ shape: Shape) throws -> any Structure)? = nil
  ) throws {
    try MistralPlan.check(architecture)
    self.architecture = architecture
    let a = architecture
    let hidden = a.hiddenSize, queries = a.heads * a.headDimension, keys = a.keyValueHeads * a.headDimension
    // Hugging Face draws every matrix with one deviation; a structured matrix gets the same output variance.
    func gain(inputs: Int) -> Double { a.initializerRange * Double(inputs).squareRoot() }
    var plan = ParameterPlan()
    func dense(_ name: String, _ outputs: Int, _ inputs: Int) -> Linear {
      plan.linear(name, Dense(shape: Shape(outputs: outputs, inputs: inputs)), gain: gain(inputs: inputs), seed: seed)
    }
    func norm(_ name: String) -> RMSNorm {
      RMSNorm(range: plan.norm(name, features: hidden), epsilon: Float(a.normEpsilon))
    }
    embedding = plan.table(
      "model.embed_tokens", rows: a.vocabularySize, features: hidden, deviation: a.initializerRange, seed: seed)
    let rope = RotaryEmbedding(headDimension: a.headDimension, positions: 16, theta: a.ropeTheta)
    let geometry = AttentionGeometry(
      heads: a.heads, keyValueHeads: a.keyValueHeads, headDimension: a.headDimension, sequence: 16,
      window: a.slidingWindow ?? Int(Int32.max / 2))
    layers = try (0..<a.layers).map { index in
      let name = "model.layers.\(index)"
      func mlp(_ part: String, _ pattern: String, _ outputs: Int, _ inputs: Int) throws -> Linear {
        var generator = SeededGenerator(seed: seed, "\(name) \(pattern)")
        let shape = Shape(outputs: outputs, inputs: inputs)
        let member =
          try matrix?("\(name).mlp.\(part)_proj", shape)
          ?? Catalog.member(structure, of: shape, density: density, seed: generator.next())
        return plan.linear("\(name).mlp.\(part)_proj", member, gain: gain(inputs: inputs), seed: seed)
      }
      let attention = SelfAttention(
        query: dense("\(name).self_attn.q_proj", queries, hidden), key: dense("\(name).self_attn.k_proj", keys, hidden),
        value: dense("\(name).self_attn.v_proj", keys, hidden),
        output: dense("\(name).self_attn.o_proj", hidden, queries), rope: rope, geometry: geometry)
      return DecoderLayer(
        attentionNorm: norm("\(name).input_layernorm"), attention: attention,
        mlpNorm: norm("\(name).post_attention_layernorm"),
        mlp: SwiGLUMLP(
          gate: try mlp("gate", "gate and up", a.intermediateSize, hidden),
          up: try mlp("up", "gate and up", a.intermediateSize, hidden),
          down: try mlp("down", "down", hidden, a.intermediateSize)))
    }
    finalNorm = norm("model.norm")
    outputLoss = OutputLoss(
      head: a.tiedEmbeddings
        ? Linear(
          name: "lm_head", structure: Dense(shape: Shape(outputs: a.vocabularySize, inputs: hidden)), range: embedding)
        : dense("lm_head", a.vocabularySize, hidden))
    tensors = plan.tensors
    let drawn = plan
    draw = { drawn.initialValues() }
  }

  private init(_ plan: MistralPlan, layers: [DecoderLayer]) {
    architecture = plan.architecture
    tensors = plan.tensors
    embedding = plan.embedding
    self.layers = layers
    finalNorm = plan.finalNorm
    outputLoss = plan.outputLoss
    draw = plan.draw
  }

  func initialValues() -> [Float] { draw() }

  /// The same model for sequences of this many tokens, padding included.
  func resized(sequence: Int) -> MistralPlan {
    let rope = RotaryEmbedding(
      headDimension: architecture.headDimension, positions: sequence, theta: architecture.ropeTheta)
    return MistralPlan(
      self,
      layers: layers.map { layer in
        let attention = layer.attention
        var geometry = attention.geometry
        geometry.sequence = sequence
        return DecoderLayer(
          attentionNorm: layer.attentionNorm,
          attention: SelfAttention(
            query: attention.query, key: attention.key, value: attention.value, output: attention.output, rope: rope,
            geometry: geometry),
          mlpNorm: layer.mlpNorm, mlp: layer.mlp)
      })
  }

  static func padded(_ sequence: Int, _ device: any Device) -> Int {
    (sequence + device.tokenGranularity - 1) / device.tokenGranularity * device.tokenGranularity
  }

  /// Every matrix product of the model, the head among them.
  package var linears: [Linear] { layers.flatMap(\.linears) + [outputLoss.head] }
  package var mlpLinears: [Linear] { layers.flatMap(\.mlp.linears) }

  public var parameterCount: Int { tensors.last?.range.upperBound ?? 0 }
  public var mlpParameterCount: Int { mlpLinears.reduce(0) { $0 + $1.structure.count } }
  /// Stored / dense, of the MLP alone and of the whole model.
  public var mlpDensity: Double {
    Double(mlpParameterCount) / Double(mlpLinears.reduce(0) { $0 + $1.structure.shape.count })
  }
  public var density: Double {
    let dense = mlpLinears.reduce(0) { $0 + $1.structure.shape.count }
    return Double(parameterCount) / Double(parameterCount - mlpParameterCount + dense)
  }
  /// Least over the layers.
  public var effectiveWidth: Int { layers.map(\.mlp.effectiveWidth).min() ?? architecture.intermediateSize }
  /// The MLP structure's label, as the gate of the first layer has it.
  public var structureLabel: String { layers.first?.mlp.gate.structure.label ?? "dense" }

  /// Floating-point operations of one training step: 2 x values x tokens for each of the three products of every matrix;
  /// attention's two products forward and five backward, over the pairs that see each other.
  public func flopsPerStep(batch: Int, sequence: Int) -> Double {
    let tokens = batch * sequence
    let products = linears.reduce(0.0) { $0 + 6 * Double($1.structure.count) * Double(tokens) }
    let window = architecture.slidingWindow ?? sequence
    let pairs = (0..<sequence).reduce(0) { $0 + min($1 + 1, window) }
    let queries = architecture.heads * architecture.headDimension * architecture.layers
    return products + 2 * 7 * Double(batch) * Double(pairs) * Double(queries)
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

  private static func check(_ a: Architecture) throws {
    let sizes = [
      ("hidden size", a.hiddenSize), ("intermediate size", a.intermediateSize), ("number of heads", a.heads),
      ("number of key-value heads", a.keyValueHeads), ("head dimension", a.headDimension),
      ("vocabulary size", a.vocabularySize),
    ]
    for (name, size) in sizes {
      guard (1...1 << 24).contains(size) else {
        throw Refusal.badInput("the \(name) \(size) is not from 1 to 16777216")
      }
    }
    let widest = max(a.hiddenSize, a.heads * a.headDimension)
    guard a.heads * a.headDimension <= 1 << 24, widest * max(a.intermediateSize, a.vocabularySize, widest) <= 1 << 30
    else {
      throw Refusal.badInput("a matrix of this model would have more than 2^30 weights, the most that is planned for")
    }
    guard (0...4096).contains(a.layers) else { throw Refusal.badInput("\(a.layers) layers are not from 0 to 4096") }
    guard a.headDimension.isMultiple(of: 2) else {
      throw Refusal.badInput(
        "the head dimension \(a.headDimension) is odd; rotary positions turn pairs, so make it even")
    }
    guard a.heads.isMultiple(of: a.keyValueHeads) else {
      throw Refusal.badInput("\(a.keyValueHeads) key-value heads do not divide \(a.heads) heads")
    }
    guard a.slidingWindow.map({ $0 > 0 }) ?? true else {
      throw Refusal.badInput("a sliding window of \(a.slidingWindow ?? 0) tokens sees nothing; give 1 or more")
    }
    guard a.headDimension <= 1 << 16 else {
      throw Refusal.badInput("the head dimension \(a.headDimension) is above 65536; use more heads")
    }
    for (name, number) in [
      ("norm epsilon", a.normEpsilon), ("rope theta", a.ropeTheta), ("initializer range", a.initializerRange),
    ] {
      guard Float(number) > 0, Float(number).isFinite else {
        throw Refusal.badInput("the \(name) \(number) is not a number above zero that single precision can hold")
      }
    }
  }
}
