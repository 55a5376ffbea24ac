/// `survey.json`: what a survey set out to do and on what, written once at its start.
public struct SurveyRecord: Codable, Sendable, Equatable {
  public static let schemaName = "filigree.survey/1"

  /// What all structures of a survey have the same of.
  public enum Equality: String, Codable, Sendable, CaseIterable {
    /// Training steps, and so tokens.
    case steps
    /// Floating-point operations of the whole run: steps are as many as cost what dense's cost.
    case flops
    /// Training time of the whole run, by a step's time as measured when the survey begins.
    case time
  }

  /// What the timing phase of a survey at equal time found for one structure.
  public struct Timing: Codable, Sendable, Equatable {
    public var structure: String
    public var requestedDensity: Double
    public var variant: String?
    /// Mean of a training step over the run.
    public var stepSeconds: Double
    /// Of dense, timed in turn with it.
    public var denseStepSeconds: Double

    public init(
      structure: String, requestedDensity: Double, variant: String? = nil, stepSeconds: Double, denseStepSeconds: Double
    ) {
      self.structure = structure
      self.requestedDensity = requestedDensity
      self.variant = variant
      self.stepSeconds = stepSeconds
      self.denseStepSeconds = denseStepSeconds
    }
  }

  /// The text that every run trains on.
  public struct Corpus: Codable, Sendable, Equatable {
    /// For people: "generated (seed 1)", or the paths given.
    public var name: String
    public var trainingBytes: Int
    public var validationBytes: Int
    /// Entropy of the token frequencies of the training text, nats per token: what a model that knows nothing but
    /// frequencies would score.
    public var unigramEntropy: Double
    /// Entropy rate of the source where it is known (the generated corpus), nats per token: no model scores below it
    /// on average.
    public var entropyRate: Double?
    /// As the runs' records name it.
    public var tokenizer: String?
    /// Of the validation text: nats per token / this are nats per byte. Nil where the tokens came without a text.
    public var bytesPerToken: Double?

    public init(
      name: String, trainingBytes: Int, validationBytes: Int, unigramEntropy: Double, entropyRate: Double?,
      tokenizer: String? = nil, bytesPerToken: Double? = nil
    ) {
      self.name = name
      self.trainingBytes = trainingBytes
      self.validationBytes = validationBytes
      self.unigramEntropy = unigramEntropy
      self.entropyRate = entropyRate
      self.tokenizer = tokenizer
      self.bytesPerToken = bytesPerToken
    }
  }

  /// One training run of the plan; its files are under `runs/<directory>`.
  public struct Run: Codable, Sendable, Equatable {
    public var structure: String
    /// The density asked for; `dense` has 1.
    public var requestedDensity: Double
    public var seed: UInt64
    /// `<structure label>-d<density>-s<seed>`, then the variant and the rate of a sweep where there are any.
    public var directory: String
    /// How it is trained where that is not the plain way: a method, or "self-guided".
    public var variant: String?
    /// A rate of the sweep; nil for the model's own rate, or, in a survey that sweeps, for the best one found.
    public var learningRate: Double?
    /// Its length where that is its own, as at equal operations and time; nil for the survey's `steps`.
    public var steps: Int?

    public init(
      structure: String, requestedDensity: Double, seed: UInt64, directory: String, variant: String? = nil,
      learningRate: Double? = nil, steps: Int? = nil
    ) {
      self.structure = structure
      self.requestedDensity = requestedDensity
      self.seed = seed
      self.directory = directory
      self.variant = variant
      self.learningRate = learningRate
      self.steps = steps
    }
  }

  public var schema = SurveyRecord.schemaName
  public var preset: String
  public var argv: [String]
  public var modelPreset: String
  /// nil: steps.
  public var equal: Equality?
  /// Of every run; where operations or time are equal, of dense.
  public var steps: Int
  public var tokensPerStep: Int
  public var corpus: Corpus
  public var shapes: [String]
  public var benchTokens: [Int]
  public var densities: [Double]
  public var runs: [Run]
  /// The rates that the first seed of every structure is trained with; nil without a sweep.
  public var learningRates: [Double]?
  /// At equal time: what the runs' steps were worked out from.
  public var timing: [Timing]?
  public var machine: MachineRecord
  public var commit: String
  public var time: String

  public init(
    preset: String, argv: [String], modelPreset: String, equal: Equality? = nil, steps: Int, tokensPerStep: Int,
    corpus: Corpus, shapes: [String], benchTokens: [Int], densities: [Double], runs: [Run],
    learningRates: [Double]? = nil, timing: [Timing]? = nil, machine: MachineRecord, commit: String, time: String
  ) {
    self.preset = preset
    self.argv = argv
    self.modelPreset = modelPreset
    self.equal = equal
    self.steps = steps
    self.tokensPerStep = tokensPerStep
    self.corpus = corpus
    self.shapes = shapes
    self.benchTokens = benchTokens
    self.densities = densities
    self.runs = runs
    self.learningRates = learningRates
    self.timing = timing
    self.machine = machine
    self.commit = commit
    self.time = time
  }
}

extension SurveyRecord {
  package var equality: Equality { equal ?? .steps }
  package func steps(of run: Run) -> Int { run.steps ?? steps }
}
