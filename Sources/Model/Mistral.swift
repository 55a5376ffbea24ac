import Arrays
import Devices
import Records
import Structures

/// A Mistral's shape; the names are Hugging Face's, in Swift's spelling.
public typealias Architecture = TrainingConfiguration.Architecture

/// A Mistral language model (Jiang et al. 2023, arXiv 2310.06825) whose MLP matrices may have any structure, with a
/// hand-written backward pass.
///
/// Everything runs on the device's primitives; the model owns the arena of parameters and the activations of one batch.
public final class Mistral: Sendable {
  public let architecture: Architecture
  public let parameters: Parameters
  let device: any Device
  package let plan: MistralPlan
  /// The batch that the activations are made for.
  public let batch: Int
  public let sequence: Int
  let state: State

  /// Activations that the forward pass keeps, and the running gradient of the residual stream.
  struct State: Sendable {
    let layers: [DecoderLayer.State]
    let output: Activations
    let final: Activations
    let inverse: Activations
    let dx: Activations
  }

  public init(_ plan: MistralPlan, batch: Int, sequence: Int, on device: any Device) throws {
    let padded = MistralPlan.padded(sequence, device)
    self.plan = plan.resized(sequence: padded)
    self.batch = batch
    self.sequence = sequence
    self.device = device
    architecture = plan.architecture
    parameters = try Parameters(plan.tensors, initial: plan.initialValues(), on: device)
    let tokens = batch * padded, features = architecture.hiddenSize
    func matrix(_ features: Int) throws -> Activations {
      try device.makeActivations(tokens: tokens, features: features)
    }
    state = State(
      layers: try self.plan.layers.map { try $0.makeState(tokens: tokens, features: features, on: device) },
      output: try matrix(features), final: try matrix(features), inverse: try matrix(1), dx: try matrix(features))
  }

  /// The same model with other structures in its MLPs and the parameters given; the activations are shared, so that the
  /// old one is not to be used any more.
  package init(_ old: Mistral, plan: MistralPlan, parameters: Parameters) {
    precondition(parameters.count == plan.parameterCount)
    precondition(
      zip(plan.linears, old.plan.linears).allSatisfy { $0.structure.savedFeatures == $1.structure.savedFeatures })
    self.plan = plan
    self.parameters = parameters
    batch = old.batch
    sequence = old.sequence
    device = old.device
    architecture = old.architecture
    state = old.state
  }

  /// The mean loss of a batch, nats per token, and the gradients of all parameters (added to what is there).
  /// - Parameters: row-major [batch, sequence] token numbers; a target of -1 is not counted.
  public func lossAndGradients(inputs: [Int32], targets: [Int32]) throws -> Double {
    let targets = try padded(targets)
    let counted = targets.reduce(0) { $0 + ($1 >= 0 ? 1 : 0) }
    guard counted > 0 else { throw Refusal.badInput("a batch without a single target has no loss") }
    let inputs = try padded(inputs)
    try forward(inputs)
    let scale = 1 / Float(counted)
    let sum = try plan.outputLoss.run(
      state.final, targets: targets, scale: scale, parameters, df: state.dx, on: device)
    try backward(inputs)
    return sum / Double(counted)
  }

  /// The sum of the losses of a batch and how many tokens it is over; no gradients.
  public func loss(inputs: [Int32], targets: [Int32]) throws -> (sum: Double, tokens: Int) {
    let targets = try padded(targets)
    try forward(try padded(inputs))
    let sum = try plan.outputLoss.run(
      state.final, targets: targets, scale: 1, parameters, df: nil, on: device)
    return (sum, targets.reduce(0) { $0 + ($1 >= 0 ? 1 : 0) })
  }

  /// -ln p of every target, row-major [batch, sequence]; 0 where the target is -1.
  public func tokenLosses(inputs: [Int32], targets: [Int32]) throws -> [Float] {
    let padded = try padded(targets)
    try forward(try self.padded(inputs))
    var losses = [Float](repeating: 0, count: padded.count)
    _ = try losses.withUnsafeMutableBufferPointer {
      try plan.outputLoss.run(
        state.final, targets: padded, scale: 1, parameters, df: nil, losses: $0, on: device)
    }
    let stride = padded.count / batch
    return (0..<batch).flatMap { losses[$0 * stride..<$0 * stride + sequence] }
  }

  func forward(_ tokens: [Int32]) throws {
    try device.embed(tokens, table: parameters.values[plan.embedding], into: state.layers.first?.input ?? state.output)
    for (index, layer) in plan.layers.enumerated() {
      let next = index + 1 < plan.layers.count ? state.layers[index + 1].input : state.output
      try layer.forward(parameters, state.layers[index], into: next, on: device)
    }
    try plan.finalNorm.forward(
      state.output, parameters, into: state.final, inverse: state.inverse, on: device)
  }

  /// From the gradient of the final norm's output in `state.dx` down to the embedding.
  private func backward(_ tokens: [Int32]) throws {
    let dx = state.dx
    try device.withScratch(tokens: dx.tokens, features: dx.features) { dfinal in
      try device.copy(dx, to: dfinal)
      try plan.finalNorm.backward(
        dfinal, x: state.output, inverse: state.inverse, parameters, dx: dx, accumulate: false, on: device)
    }
    for (layer, state) in zip(plan.layers, state.layers).reversed() {
      try layer.backward(dx, parameters, state, on: device)
    }
    try device.accumulateEmbeddingGradient(tokens, dy: dx, into: parameters.gradients[plan.embedding])
  }

  /// [batch, sequence] -> [batch, padded sequence], -1 in the padding.
  private func padded(_ tokens: [Int32]) throws -> [Int32] {
    guard tokens.count == batch * sequence else {
      throw Refusal.badInput("\(tokens.count) tokens are not \(batch) sequences of \(sequence)")
    }
    guard let largest = tokens.max(), largest < architecture.vocabularySize else {
      throw Refusal.badInput(
        "token \(tokens.max() ?? 0) is not in the vocabulary of \(architecture.vocabularySize); raise --vocabulary")
    }
    let padding = [Int32](repeating: -1, count: MistralPlan.padded(sequence, device) - sequence)
    return (0..<batch).flatMap { Array(tokens[$0 * sequence..<($0 + 1) * sequence]) + padding }
  }
}

extension Mistral {
  /// The label that the structured matrices of the MLP have now; "dense" where there is none.
  public var structureLabel: String { plan.structuredLinears.first?.structure.label ?? "dense" }

  /// Where the numbers of the last step stop being numbers: the first layer whose output is not finite, else the last
  /// gradient, which is the first that the backward pass made.
  package func firstFault() throws -> String? {
    func isBroken(_ numbers: [Float]) -> Bool { !numbers.allSatisfy(\.isFinite) }
    if isBroken(try device.numbers(parameters.values)) {
      let broken = try parameters.tensors.first { isBroken(try device.numbers(parameters.values[$0.range])) }
      return broken.map { "the weights \($0.name)" }
    }
    for (index, layer) in state.layers.enumerated() {
      if isBroken(try device.rows(layer.input)) {
        return index == 0 ? "the embedding's output" : "layer \(index - 1)'s output"
      }
      if isBroken(try device.rows(layer.middle)) { return "layer \(index)'s attention" }
    }
    if isBroken(try device.rows(state.output)) { return "layer \(plan.layers.count - 1)'s output" }
    let broken = try parameters.tensors.last { isBroken(try device.numbers(parameters.gradients[$0.range])) }
    return broken.map { "the gradient of \($0.name)" }
  }

  /// The layer whose output has the largest numbers: where a loss that explodes comes from.
  package func largestOutput() throws -> String {
    let outputs = state.layers.dropFirst().map(\.input) + [state.output]
    let sizes = try outputs.map { try device.rows($0).reduce(Float(0)) { max($0, abs($1)) } }
    let worst = sizes.indices.max { sizes[$0] < sizes[$1] } ?? 0
    return "layer \(worst)'s output, up to \(sizes[worst])"
  }

  /// The index arrays of all patterns, named as in a checkpoint, in a fixed order.
  public var patternArrays: [(name: String, array: [Int32])] {
    plan.linears.flatMap { linear in
      linear.structure.pattern.arrays.sorted { $0.key < $1.key }
        .map { ("\(linear.name).weight.indices.\($0.key)", $0.value) }
    }
  }
}
