import Arrays
import Devices
import Measuring
import Model
import Records
import Sparsifying
import Structures

/// One run on paper: the configuration, the model's plan and the record that `run.json` will hold.
package struct RunPlan: Sendable {
  /// The model that training ends with.
  package let model: MistralPlan
  package let record: RunRecord
  private let logitTokens: Int

  /// - Parameter logitTokens: tokens whose logits the device holds at once, ``Device/tokensOfLogits(vocabulary:)``.
  package init(
    _ configuration: TrainingConfiguration, seed: UInt64, argv: [String], machine: MachineRecord,
    versions: [String: String], logitTokens: Int
  ) throws {
    try Trainer.check(configuration)
    let c = configuration
    try self.init(
      c,
      model: try MistralPlan(
        c.architecture, structure: c.structure, density: c.density, seed: seed, options: try RunPlan.options(c)),
      seed: seed, argv: argv, machine: machine, versions: versions,
      logitTokens: logitTokens)
  }

  /// The same run of another length: its model is the same, whatever the number of steps.
  package func lengthened(to configuration: TrainingConfiguration) throws -> RunPlan {
    try Trainer.check(configuration)
    return try RunPlan(
      configuration, model: model, seed: record.seed, argv: record.argv, machine: record.machine,
      versions: record.versions, logitTokens: logitTokens)
  }

  private init(
    _ c: TrainingConfiguration, model: MistralPlan, seed: UInt64, argv: [String], machine: MachineRecord,
    versions: [String: String], logitTokens: Int
  ) throws {
    self.model = model
    self.logitTokens = logitTokens
    let cost = try RunCost(c, target: model, seed: seed)
    let memory = cost.memory(start: try RunPlan.start(of: model, c, seed), logitTokens: logitTokens)
    record = RunRecord(
      argv: argv, structure: model.structureLabel, configuration: c, seed: seed, machine: machine, versions: versions,
      commit: Commit.current, parameters: RunRecord.Count(whole: model.parameterCount, mlp: model.mlpParameterCount),
      density: RunRecord.Density(whole: model.density, mlp: model.mlpDensity), effectiveWidth: model.effectiveWidth,
      flopsPerStep: model.flopsPerStep(batch: c.batch, sequence: c.sequence), trainingFlops: cost.trainingFlops,
      averageParameters: cost.averageParameters, plannedBytes: memory.total,
      memory: RunRecord.Memory(
        parameters: memory.parameters, activations: memory.activations, passing: memory.passing,
        patterns: memory.patterns, beside: memory.beside,
        process: ProcessMemory.current()),
      tokensPerParameter: Double(c.steps) * Double(c.batch * c.sequence) / Double(model.parameterCount),
      time: TimeStamp.now())
  }

  /// The model that training begins with: dense where the method prunes, else the one that it ends with.
  static func start(of target: MistralPlan, _ c: TrainingConfiguration, _ seed: UInt64) throws -> MistralPlan {
    guard let settings = c.method, try Methods.named(settings.name).init(settings, steps: c.steps).beginsDense else {
      return target
    }
    return try MistralPlan(
      c.architecture, structure: "dense", density: 1, seed: seed, options: try options(c))
  }

  /// A method that begins dense keeps the dense learning rate, unless another rule is named: its density is not one
  /// number.
  private static func options(_ c: TrainingConfiguration) throws -> MLPOptions {
    var rule = try c.learningRateRule.map { try RateRule(named: $0) } ?? .published
    if rule == .published, let settings = c.method,
      try Methods.named(settings.name).init(settings, steps: c.steps).beginsDense
    {
      rule = .none
    }
    guard let masks = c.masks.map({ GatedMLP.Masks(rawValue: $0) }) ?? .shared else {
      throw Refusal.badInput("there are no '\(c.masks ?? "")' masks; they are shared or independent")
    }
    return MLPOptions(
      denseFirst: c.denseFirst ?? 0, denseLast: c.denseLast ?? 0, rateRule: rule, masks: masks,
      initialization: try c.initialization.map { try Initialization(named: $0) } ?? .variance)
  }
}
