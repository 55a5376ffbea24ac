/// `run.json`: everything that decides the course of one training run, and what it is counted as.
public struct RunRecord: Codable, Sendable, Equatable {
  public static let schemaName = "filigree.run/1"

  /// Stored parameters, and the fraction that they are of the dense model's.
  public struct Count: Codable, Sendable, Equatable {
    public var whole: Int
    public var mlp: Int

    public init(whole: Int, mlp: Int) {
      self.whole = whole
      self.mlp = mlp
    }
  }

  public struct Density: Codable, Sendable, Equatable {
    public var whole: Double
    public var mlp: Double

    public init(whole: Double, mlp: Double) {
      self.whole = whole
      self.mlp = mlp
    }
  }

  /// Bytes that the run is planned to hold, part by part.
  public struct Memory: Codable, Sendable, Equatable {
    /// Values, gradients and two moments.
    public var parameters: Int
    /// What the forward pass keeps.
    public var activations: Int
    /// What is borrowed for a while.
    public var passing: Int
    /// The orders in which compressed rows are walked.
    public var patterns: Int
    /// What a method or a guide has beside the model.
    public var beside: Int
    /// What the process held when the plan was made, the program and the text; measured, and not in `plannedBytes`.
    public var process: Int?

    public init(parameters: Int, activations: Int, passing: Int, patterns: Int, beside: Int, process: Int?) {
      self.parameters = parameters
      self.activations = activations
      self.passing = passing
      self.patterns = patterns
      self.beside = beside
      self.process = process
    }
  }

  public var schema = RunRecord.schemaName
  public var argv: [String]
  /// Label of the MLP's structure.
  public var structure: String
  public var configuration: TrainingConfiguration
  public var seed: UInt64
  public var machine: MachineRecord
  public var versions: [String: String]
  public var commit: String
  public var parameters: Count
  public var density: Density
  /// Hidden units of the MLP that some input reaches and that reach some output, least over the layers.
  public var effectiveWidth: Int
  /// 2 x values x tokens for every product, attention's scores included, forward and backward.
  /// Of the model that the run ends with; what a method adds is in `trainingFlops`.
  public var flopsPerStep: Double
  /// Of the whole run: guides, dense gradients and dense beginnings included; nil in records of older versions.
  public var trainingFlops: Double?
  /// Mean over the steps of the parameters that the model has; a guide's and a master's are not among them.
  public var averageParameters: Double?
  /// What the run is planned to add to the process's memory: the parts of `memory` together, to be compared with the metrics'
  /// `peakBytes`.
  public var plannedBytes: Int?
  public var memory: Memory?
  public var tokensPerParameter: Double?
  public var time: String

  public init(
    argv: [String], structure: String, configuration: TrainingConfiguration, seed: UInt64, machine: MachineRecord,
    versions: [String: String], commit: String, parameters: Count, density: Density, effectiveWidth: Int,
    flopsPerStep: Double, trainingFlops: Double? = nil, averageParameters: Double? = nil, plannedBytes: Int? = nil,
    memory: Memory? = nil, tokensPerParameter: Double? = nil, time: String
  ) {
    self.argv = argv
    self.structure = structure
    self.configuration = configuration
    self.seed = seed
    self.machine = machine
    self.versions = versions
    self.commit = commit
    self.parameters = parameters
    self.density = density
    self.effectiveWidth = effectiveWidth
    self.flopsPerStep = flopsPerStep
    self.trainingFlops = trainingFlops
    self.averageParameters = averageParameters
    self.plannedBytes = plannedBytes
    self.memory = memory
    self.tokensPerParameter = tokensPerParameter
    self.time = time
  }
}

extension RunRecord {
  /// Bytes of memory that the machine must have: the plan, and the process beside it; nil in records of older versions.
  package var neededBytes: Int? { plannedBytes.map { $0 + (memory?.process ?? 0) } }

  /// Whether that is more than the machine has; false where it does not say how much it has.
  package var exceedsMemory: Bool { machine.memoryBytes > 0 && (neededBytes ?? 0) > machine.memoryBytes }
}
