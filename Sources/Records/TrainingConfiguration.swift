/// The whole configuration of a run: two runs with equal configurations and seeds have bit-identical losses.
public struct TrainingConfiguration: Codable, Sendable, Equatable {
  /// A Mistral's shape; the names are Hugging Face's, in Swift's spelling.
  public struct Architecture: Codable, Sendable, Equatable {
    public var hiddenSize: Int
    public var intermediateSize: Int
    public var layers: Int
    public var heads: Int
    public var keyValueHeads: Int
    public var headDimension: Int
    public var vocabularySize: Int
    public var normEpsilon: Double
    public var ropeTheta: Double
    /// Tokens a query sees, itself included; nil sees all before it.
    public var slidingWindow: Int?
    public var tiedEmbeddings: Bool
    public var initializerRange: Double

    public init(
      hiddenSize: Int, intermediateSize: Int, layers: Int, heads: Int, keyValueHeads: Int, headDimension: Int,
      vocabularySize: Int, normEpsilon: Double = 1e-6, ropeTheta: Double = 10000, slidingWindow: Int? = 4096,
      tiedEmbeddings: Bool = false, initializerRange: Double = 0.02
    ) {
      self.hiddenSize = hiddenSize
      self.intermediateSize = intermediateSize
      self.layers = layers
      self.heads = heads
      self.keyValueHeads = keyValueHeads
      self.headDimension = headDimension
      self.vocabularySize = vocabularySize
      self.normEpsilon = normEpsilon
      self.ropeTheta = ropeTheta
      self.slidingWindow = slidingWindow
      self.tiedEmbeddings = tiedEmbeddings
      self.initializerRange = initializerRange
    }
  }

  /// How patterns move in training; a number that a method does not have is nil.
  public struct Method: Codable, Sendable, Equatable {
    /// What `--method` calls it.
    public var name: String
    /// Changes of the pattern over the run.
    public var updates: Int?
    /// Of the weights, those that leave at the first change.
    public var dropFraction: Double?
    /// Fractions of the run between which patterns change.
    public var start: Double?
    public var stop: Double?
    /// lambda of SR-STE, and the steps between two choices of its pattern.
    public var maskedDecay: Double?
    public var refreshEvery: Int?

    public init(
      name: String, updates: Int? = nil, dropFraction: Double? = nil, start: Double? = nil, stop: Double? = nil,
      maskedDecay: Double? = nil, refreshEvery: Int? = nil
    ) {
      self.name = name
      self.updates = updates
      self.dropFraction = dropFraction
      self.start = start
      self.stop = stop
      self.maskedDecay = maskedDecay
      self.refreshEvery = refreshEvery
    }
  }

  public var preset: String
  public var architecture: Architecture
  /// Label or family of the MLP's structure, and its density; `dense` ignores the density.
  public var structure: String
  public var density: Double
  public var data: [String]
  public var validation: [String]
  /// CRC-32C of the training text, so that a run is never continued on another text.
  public var dataChecksum: String
  public var tokenizer: String
  public var steps: Int
  public var batch: Int
  public var sequence: Int
  public var learningRate: Double
  public var warmupSteps: Int
  /// The cosine schedule ends at this fraction of the learning rate.
  public var finalLearningRateFraction: Double
  public var beta1: Double
  public var beta2: Double
  public var epsilon: Double
  public var weightDecay: Double
  public var clip: Double
  /// Steps between evaluations; each uses the same windows of the validation text.
  public var evaluateEvery: Int
  /// In place of `evaluateEvery`, so many evaluations at equal fractions of the run, so that runs of different lengths
  /// are evaluated at the same fractions; nil is every `evaluateEvery` steps.
  public var evaluations: Int?
  public var evaluationSequences: Int
  public var checkpointEvery: Int
  public var keepCheckpoints: Int
  /// nil: the pattern is static.
  public var method: Method?
  /// true: factorised matrices have a dense guide in the first half of the run.
  public var selfGuided: Bool?
  /// Layers whose MLP stays dense, at the beginning and at the end; nil is none.
  public var denseFirst: Int?
  public var denseLast: Int?
  /// Name of the rule by which structured matrices scale the learning rate; nil is each structure's published one.
  public var learningRateRule: String?
  /// `independent` where gate, up and down draw their masks apart; nil where they share one.
  public var masks: String?
  /// Name of a published initialisation, for the matrices that have it; nil keeps the variance.
  public var initialization: String?
  /// true: every document of the text is followed by the tokenizer's end token.
  public var documentEnds: Bool?

  public init(
    preset: String, architecture: Architecture, structure: String, density: Double, data: [String],
    validation: [String], dataChecksum: String, tokenizer: String, steps: Int, batch: Int, sequence: Int,
    learningRate: Double, warmupSteps: Int, finalLearningRateFraction: Double = 0.1, beta1: Double = 0.9,
    beta2: Double = 0.95, epsilon: Double = 1e-8, weightDecay: Double = 0.1, clip: Double = 1, evaluateEvery: Int,
    evaluations: Int? = nil, evaluationSequences: Int, checkpointEvery: Int, keepCheckpoints: Int = 2,
    method: Method? = nil,
    selfGuided: Bool? = nil, denseFirst: Int? = nil, denseLast: Int? = nil, learningRateRule: String? = nil,
    masks: String? = nil, initialization: String? = nil, documentEnds: Bool? = nil
  ) {
    self.preset = preset
    self.architecture = architecture
    self.structure = structure
    self.density = density
    self.data = data
    self.validation = validation
    self.dataChecksum = dataChecksum
    self.tokenizer = tokenizer
    self.steps = steps
    self.batch = batch
    self.sequence = sequence
    self.learningRate = learningRate
    self.warmupSteps = warmupSteps
    self.finalLearningRateFraction = finalLearningRateFraction
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
    self.clip = clip
    self.evaluateEvery = evaluateEvery
    self.evaluations = evaluations
    self.evaluationSequences = evaluationSequences
    self.checkpointEvery = checkpointEvery
    self.keepCheckpoints = keepCheckpoints
    self.method = method
    self.selfGuided = selfGuided
    self.denseFirst = denseFirst
    self.masks = masks
    self.initialization = initialization
    self.documentEnds = documentEnds
    self.denseLast = denseLast
    self.learningRateRule = learningRateRule
  }
}

extension TrainingConfiguration {
  /// Whether the model is evaluated after `step` steps, from 1: always after the last.
  package func isEvaluated(after step: Int) -> Bool {
    if step == steps { return true }
    guard let evaluations else { return step.isMultiple(of: evaluateEvery) }
    // The first step that has so large a fraction of the run behind it.
    func due(_ step: Int) -> Int { evaluations * step / steps }
    return due(step) > due(step - 1)
  }
}
