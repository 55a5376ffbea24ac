import Foundation
import Records

/// `report/summary.json`: the figures of the verdict table, schema `filigree.summary/1`.
///
/// Losses are nats per token. Every key is always there; what is not known is null.
public struct SummaryRecord: Codable, Sendable, Equatable {
  public static let schemaName = "filigree.summary/1"

  public struct Speedups: Codable, Sendable, Equatable {
    public var forward: Double?
    public var inputGradient: Double?
    public var weightGradient: Double?

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(forward, forKey: .forward)
      try container.encode(inputGradient, forKey: .inputGradient)
      try container.encode(weightGradient, forKey: .weightGradient)
    }
  }

  /// A rate of the sweep and what it came to; nil where the run diverged or is not finished.
  public struct Rate: Codable, Sendable, Equatable {
    public var learningRate: Double
    public var finalValidationLoss: Double?

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(learningRate, forKey: .learningRate)
      try container.encode(finalValidationLoss, forKey: .finalValidationLoss)
    }
  }

  /// One structure at one density, over all its seeds.
  public struct Structure: Codable, Sendable, Equatable {
    public var label: String
    /// A method or "self-guided"; null for the plain way.
    public var variant: String?
    public var requestedDensity: Double
    /// Of the MLP, as trained.
    public var density: Double?
    /// Of the whole model.
    public var parameters: Int?
    public var effectiveWidth: Int?
    public var seedsPlanned: Int
    public var seedsFinished: Int
    /// Of the first seed's run, planned.
    public var steps: Int?
    public var tokens: Int?
    /// Median over shapes, at the bench's token count nearest to a training step's; verified records only.
    public var medianSpeedup: Speedups
    /// Median over steps, then over seeds.
    public var stepSeconds: Double?
    /// stepSeconds / that of dense.
    public var relativeStepSeconds: Double?
    /// Median absolute deviation / median of the step time.
    public var stepSpread: Double?
    /// Of a whole run, the median over the finished seeds; and / that of dense.
    public var trainingSeconds: Double?
    public var relativeTrainingSeconds: Double?
    /// Means over the finished seeds, as is lossAtEqualTime.
    public var finalValidationLoss: Double?
    public var bestValidationLoss: Double?
    /// finalValidationLoss - that of dense.
    public var differenceToDense: Double?
    /// Largest - smallest final validation loss over seeds; with one seed, that of dense.
    public var spread: Double?
    /// Where `spread` is from: "seeds", "dense" or "unknown".
    public var spreadSource: String
    /// Validation loss when dense had finished: one-sided, unless the survey's `equal` is "time".
    public var lossAtEqualTime: Double?
    /// Validation loss after as many operations as dense had done at its end: one-sided, unless `equal` is "flops".
    public var lossAtEqualFlops: Double?
    /// finalValidationLoss - that of the dense MLP with as many parameters.
    public var differenceToNarrow: Double?
    /// Peak of the schedule: the best of the sweep where there is one.
    public var learningRate: Double?
    public var rates: [Rate]
    /// Over the steps; `parameters` is the number at the end.
    public var averageParameters: Double?
    /// Operations of a whole run.
    public var trainingFlops: Double?
    public var tokensPerParameter: Double?
    public var peakBytes: Int?
    /// Of the processor packages.
    public var joulesPerToken: Double?
    /// Of the GPU.
    public var gpuJoulesPerToken: Double?
    /// It multiplies its zeros: its time is no measure of what sparsity gains.
    public var simulated: Bool
    /// False if one of its bench records was not verified (it then has no speed), null without bench records.
    public var verified: Bool?
    public var verdict: Verdict
    /// The verdict in a sentence.
    public var reason: String

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(label, forKey: .label)
      try container.encode(variant, forKey: .variant)
      try container.encode(requestedDensity, forKey: .requestedDensity)
      try container.encode(density, forKey: .density)
      try container.encode(parameters, forKey: .parameters)
      try container.encode(effectiveWidth, forKey: .effectiveWidth)
      try container.encode(seedsPlanned, forKey: .seedsPlanned)
      try container.encode(seedsFinished, forKey: .seedsFinished)
      try container.encode(steps, forKey: .steps)
      try container.encode(tokens, forKey: .tokens)
      try container.encode(medianSpeedup, forKey: .medianSpeedup)
      try container.encode(stepSeconds, forKey: .stepSeconds)
      try container.encode(relativeStepSeconds, forKey: .relativeStepSeconds)
      try container.encode(stepSpread, forKey: .stepSpread)
      try container.encode(trainingSeconds, forKey: .trainingSeconds)
      try container.encode(relativeTrainingSeconds, forKey: .relativeTrainingSeconds)
      try container.encode(finalValidationLoss, forKey: .finalValidationLoss)
      try container.encode(bestValidationLoss, forKey: .bestValidationLoss)
      try container.encode(differenceToDense, forKey: .differenceToDense)
      try container.encode(spread, forKey: .spread)
      try container.encode(spreadSource, forKey: .spreadSource)
      try container.encode(lossAtEqualTime, forKey: .lossAtEqualTime)
      try container.encode(lossAtEqualFlops, forKey: .lossAtEqualFlops)
      try container.encode(differenceToNarrow, forKey: .differenceToNarrow)
      try container.encode(learningRate, forKey: .learningRate)
      try container.encode(rates, forKey: .rates)
      try container.encode(averageParameters, forKey: .averageParameters)
      try container.encode(trainingFlops, forKey: .trainingFlops)
      try container.encode(tokensPerParameter, forKey: .tokensPerParameter)
      try container.encode(peakBytes, forKey: .peakBytes)
      try container.encode(joulesPerToken, forKey: .joulesPerToken)
      try container.encode(gpuJoulesPerToken, forKey: .gpuJoulesPerToken)
      try container.encode(simulated, forKey: .simulated)
      try container.encode(verified, forKey: .verified)
      try container.encode(verdict, forKey: .verdict)
      try container.encode(reason, forKey: .reason)
    }
  }

  public var schema = SummaryRecord.schemaName
  /// The report's first paragraph.
  public var answer: String
  /// What all structures had the same of.
  public var equal: SurveyRecord.Equality
  /// Training seconds at which losses are compared: when dense had finished.
  public var equalTimeSeconds: Double?
  /// Operations at which losses are compared: what dense had done by then.
  public var equalFlops: Double?
  /// Training tokens / parameters of the dense model.
  public var tokensPerParameter: Double?
  public var structures: [Structure]
  /// Sentences on what the survey lacks.
  public var missing: [String]
  /// The survey's commit and time.
  public var commit: String
  public var time: String

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(schema, forKey: .schema)
    try container.encode(answer, forKey: .answer)
    try container.encode(equal, forKey: .equal)
    try container.encode(equalTimeSeconds, forKey: .equalTimeSeconds)
    try container.encode(equalFlops, forKey: .equalFlops)
    try container.encode(tokensPerParameter, forKey: .tokensPerParameter)
    try container.encode(structures, forKey: .structures)
    try container.encode(missing, forKey: .missing)
    try container.encode(commit, forKey: .commit)
    try container.encode(time, forKey: .time)
  }
}
