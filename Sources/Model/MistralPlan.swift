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
  private let parameterPlan: ParameterPlan
  /// Weights of the MLPs that the architecture asked for would have, all dense.
  private let denseMLPCount: Int
  /// The MLP structure's label, as the layers that are not left dense have it.
  public let structureLabel: String

  /// - Parameters:
  ///   - structure: label or family for gate, up and down of every layer.
  ///   - density: for labels that leave it open.
  ///   - seed: decides patterns and first values, tensor by tensor.
  ///   - options: what is left dense, how masks are drawn, and how learning rates scale.
  ///   - matrix: the structure of an MLP's matrix by its name and shape, where it is known already.
  ///
  /// `narrow` is a dense MLP with the fraction `density` of the hidden units: the control at equal parameters.
  public init(
    _ architecture: Architecture, structure: String, density: Double, seed: UInt64, options: MLPOptions = MLPOptions(),
    matrix: ((_ name: String, _ shape: Shape) throws -> any Structure)? = nil
  ) throws {
    try MistralPlan.check(architecture)
    denseMLPCount = 3 * architecture.layers * architecture.hiddenSize * architecture.intermediateSize
    let width = try Catalog.family(of: structure).type
      .hiddenUnits(of: architecture.intermediateSize, density: density)
    let isNarrow = width < architecture.intermediateSize
    var a = architecture
    a.intermediateSize = width
    self.architecture = a
    try options.check(layers: a.layers)
    let hidden = a.hiddenSize, queries = a.heads * a.headDimension, keys = a.keyValueHeads * a.headDimension
    // Hugging Face draws every matrix with one deviation; a structured matrix gets the same output variance.
    func gain(inputs: Int) -> Double { a.initializerRange * Double(inputs).squareRoot() }
    var plan = ParameterPlan(rule: options.rateRule, initialization: options.initialization)
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
    let layers = try (0..<a.layers).map { index in
      let name = "model.layers.\(index)"
      func patternSeed(_ part: String) -> UInt64 {
        var generator = SeededGenerator(seed: seed, "\(name) \(part)")
        return generator.next()
      }
      let members = try GatedMLP(
        options.keepsDense(layer: index, of: a.layers) && !isNarrow ? "dense" : structure, features: hidden,
        width: architecture.intermediateSize, density: density, masks: options.masks,
        seeds: (patternSeed("gate and up"), patternSeed("up"), patternSeed("down")))
      func mlp(_ part: String, _ drawn: any Structure) throws -> Linear {
        let member = try matrix?("\(name).mlp.\(part)_proj", drawn.shape) ?? drawn
        return plan.linear(
          "\(name).mlp.\(part)_proj", member, endsBranch: part == "down", gain: gain(inputs: member.shape.inputs),
          seed: seed)
      }
      let attention = SelfAttention(
        query: dense("\(name).self_attn.q_proj", queries, hidden), key: dense("\(name).self_attn.k_proj", keys, hidden),
        value: dense("\(name).self_attn.v_proj", keys, hidden),
        output: dense("\(name).self_attn.o_proj", hidden, queries), rope: rope, geometry: geometry)
      return DecoderLayer(
        attentionNorm: norm("\(name).input_layernorm"), attention: attention,
        mlpNorm: norm("\(name).post_attention_layernorm"),
        mlp: SwiGLUMLP(
          gate: try mlp("gate", members.gate), up: try mlp("up", members.up), down: try mlp("down", members.down)))
    }
    self.layers = layers
    finalNorm = norm("model.norm")
    outputLoss = OutputLoss(
      head: a.tiedEmbeddings
        ? Linear(
          name: "lm_head", structure: Dense(shape: Shape(outputs: a.vocabularySize, inputs: hidden)), range: embedding)
        : dense("lm_head", a.vocabularySize, hidden))
    tensors = plan.tensors
    parameterPlan = plan
    let sparse = layers.indices.first { !options.keepsDense(layer: $0, of: a.layers) }.map { layers[$0] }
    structureLabel = (isNarrow ? layers.first : sparse)?.mlp.gate.structure.label ?? "dense"
  }

  private init(_ plan: MistralPlan, layers: [DecoderLayer]) {
    architecture = plan.architecture
    tensors = plan.tensors
    embedding = plan.embedding
    self.layers = layers
    finalNorm = plan.finalNorm
    outputLoss = plan.outputLoss
    parameterPlan = plan.parameterPlan
    structureLabel = plan.structureLabel
    denseMLPCount = plan.denseMLPCount
  }

  package func initialValues() -> [Float] { parameterPlan.initialValues() }

  /// The same model with other structures in the matrices named; every other tensor keeps its place in the order.
  package func replacing(_ structures: [String: any Structure]) -> MistralPlan {
    let (parameters, moved) = parameterPlan.replacing(structures)
    func place(_ range: Range<Int>) -> Range<Int> { moved[range.lowerBound] ?? range }
    func linear(_ old: Linear) -> Linear {
      Linear(name: old.name, structure: structures[old.name] ?? old.structure, range: place(old.range))
    }
    func norm(_ old: RMSNorm) -> RMSNorm { RMSNorm(range: place(old.range), epsilon: old.epsilon) }
    return MistralPlan(
      self, parameters, embedding: place(embedding),
      layers: layers.map { layer in
        let old = layer.attention
        return DecoderLayer(
          attentionNorm: norm(layer.attentionNorm),
          attention: SelfAttention(
            query: linear(old.query), key: linear(old.key), value: linear(old.value), output: linear(old.output),
            rope: old.rope, geometry: old.geometry),
          mlpNorm: norm(layer.mlpNorm),
          mlp: SwiGLUMLP(gate: linear(layer.mlp.gate), up: linear(layer.mlp.up), down: linear(layer.mlp.down)))
      }, finalNorm: norm(finalNorm), outputLoss: OutputLoss(head: linear(outputLoss.head)))
  }

  private init(
    _ plan: MistralPlan, _ parameters: ParameterPlan, embedding: Range<Int>, layers: [DecoderLayer],
    finalNorm: RMSNorm, outputLoss: OutputLoss
  ) {
    architecture = plan.architecture
    tensors = parameters.tensors
    self.embedding = embedding
    self.layers = layers
    self.finalNorm = finalNorm
    self.outputLoss = outputLoss
    parameterPlan = parameters
    structureLabel = plan.structureLabel
    denseMLPCount = plan.denseMLPCount
  }

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
  /// The MLP's matrices that are not simply dense.
  package var structuredLinears: [Linear] { mlpLinears.filter { !($0.structure is Dense) } }

  public var parameterCount: Int { tensors.last?.range.upperBound ?? 0 }
  public var mlpParameterCount: Int { mlpLinears.reduce(0) { $0 + $1.structure.count } }
  /// Weights that can be other than zero / those of the dense model, of the MLP alone and of the whole model.
  public var mlpDensity: Double {
    mlpWeights / Double(denseMLPCount)
  }
  public var density: Double {
    let others = parameterCount - mlpParameterCount
    return (Double(others) + mlpWeights) / Double(others + denseMLPCount)
  }
  /// Weights that can be other than zero: all that are stored, but for a simulated structure.
  private var mlpWeights: Double {
    mlpLinears.reduce(0) { $0 + $1.structure.density * Double($1.structure.shape.count) }
  }
  /// Least over the layers.
  public var effectiveWidth: Int { layers.map(\.mlp.effectiveWidth).min() ?? architecture.intermediateSize }
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
