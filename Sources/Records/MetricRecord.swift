/// A line of `metrics.jsonl`: a training step, an evaluation or a change of the pattern; what it has not is left
/// out, but for `joules`, which is null then.
///
/// A step carries `loss` to `flops`; an evaluation carries `validationLoss`; a change `changed`, `effectiveWidth` and
/// `parameters`. Losses are nats per token.
public struct MetricRecord: Codable, Sendable, Equatable {
  /// Optimiser steps done, so the first step is 1; an evaluation before any training has step 0.
  public var step: Int
  /// Tokens trained on so far.
  public var tokens: Int
  public var loss: Double?
  public var learningRate: Double?
  /// Before clipping.
  public var gradientNorm: Double?
  /// Forward, backward and optimiser; without evaluation, logging and checkpoints.
  public var stepSeconds: Double?
  public var tokensPerSecond: Double?
  /// Energy of the processor packages during the step; null where their counters cannot be read, and where there was no step.
  @Nullable public var joules: Double?
  /// Energy of the GPU that trained during the step, as its counter moved; absent without a GPU, and where it cannot be read.
  /// The counter moves every 20 to 100 milliseconds: means over many steps count, not single ones.
  public var gpuJoules: Double?
  /// The most resident memory so far beyond what the process held before the model was made: parameters, gradients,
  /// moments and activations, not the text.
  public var peakBytes: Int?
  /// Floating-point operations of this step's products, whatever a method adds included.
  public var flops: Double?
  public var validationLoss: Double?
  /// Weights that left the pattern or came to it, whichever are more.
  public var changed: Int?
  /// After the change: hidden units that live, least over the layers, and the model's parameters.
  public var effectiveWidth: Int?
  public var parameters: Int?

  public init(
    step: Int, tokens: Int, loss: Double? = nil, learningRate: Double? = nil, gradientNorm: Double? = nil,
    stepSeconds: Double? = nil, tokensPerSecond: Double? = nil, joules: Double? = nil, gpuJoules: Double? = nil,
    peakBytes: Int? = nil,
    flops: Double? = nil, validationLoss: Double? = nil, changed: Int? = nil, effectiveWidth: Int? = nil,
    parameters: Int? = nil
  ) {
    self.step = step
    self.tokens = tokens
    self.loss = loss
    self.learningRate = learningRate
    self.gradientNorm = gradientNorm
    self.stepSeconds = stepSeconds
    self.tokensPerSecond = tokensPerSecond
    self.joules = joules
    self.gpuJoules = gpuJoules
    self.peakBytes = peakBytes
    self.flops = flops
    self.validationLoss = validationLoss
    self.changed = changed
    self.effectiveWidth = effectiveWidth
    self.parameters = parameters
  }
}
