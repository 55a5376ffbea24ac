/// `survey.json`: what a survey set out to do and on what, written once at its start.
public struct SurveyRecord: Codable, Sendable, Equatable {
  public static let schemaName = "filigree.survey/1"

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

    public init(
      structure: String, requestedDensity: Double, seed: UInt64, directory: String, variant: String? = nil,
      learningRate: Double? = nil
    ) {
      self.structure = structure
      self.requestedDensity = requestedDensity
      self.seed = seed
      self.directory = directory
      self.variant = variant
      self.learningRate = learningRate
    }
  }

  public var schema = SurveyRecord.schemaName
  public var preset: String
  public var argv: [String]
  public var modelPreset: String
  public var steps: Int
  public var tokensPerStep: Int
  public var corpus: Corpus
  public var shapes: [String]
  public var benchTokens: [Int]
  public var densities: [Double]
  public var runs: [Run]
  /// The rates that the first seed of every structure is trained with; nil without a sweep.
  public var learningRates: [Double]?
  public var machine: MachineRecord
  public var commit: String
  public var time: String

  public init(
    preset: String, argv: [String], modelPreset: String, steps: Int, tokensPerStep: Int, corpus: Corpus,
    shapes: [String], benchTokens: [Int], densities: [Double], runs: [Run], learningRates: [Double]? = nil,
    machine: MachineRecord, commit: String, time: String
  ) {
    self.preset = preset
    self.argv = argv
    self.modelPreset = modelPreset
    self.steps = steps
    self.tokensPerStep = tokensPerStep
    self.corpus = corpus
    self.shapes = shapes
    self.benchTokens = benchTokens
    self.densities = densities
    self.runs = runs
    self.learningRates = learningRates
    self.machine = machine
    self.commit = commit
    self.time = time
  }
}
