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
  public var flopsPerStep: Double
  public var time: String

  public init(
    argv: [String], structure: String, configuration: TrainingConfiguration, seed: UInt64, machine: MachineRecord,
    versions: [String: String], commit: String, parameters: Count, density: Density, effectiveWidth: Int,
    flopsPerStep: Double, time: String
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
    self.time = time
  }
}
