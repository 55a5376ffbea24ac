/// What a family is, for people: the README's table, `filigree list` and the captions of a report are made from this.
public struct Card: Sendable {
  /// The family's name, which begins its labels.
  public let family: String
  /// How labels are written: "bsr-B, bsr-RxC".
  public let grammar: String
  /// One line of prose.
  public let summary: String
  public let formula: String
  /// Stored values as a formula of O, I and the parameters.
  public let stored: String
  /// The densities that members can have.
  public let densities: String
  /// True where the label leaves the density open, as in `bsr-32`; false where it fixes it, as in `lowrank-64`.
  public let densityIsFree: Bool
  public let source: String
  /// True where the zeros are stored and multiplied too: good for losses, no measure of speed, and said so in every table.
  public let isSimulated: Bool

  public init(
    family: String, grammar: String, summary: String, formula: String, stored: String, densities: String,
    densityIsFree: Bool, source: String, isSimulated: Bool = false
  ) {
    self.family = family
    self.grammar = grammar
    self.summary = summary
    self.formula = formula
    self.stored = stored
    self.densities = densities
    self.densityIsFree = densityIsFree
    self.source = source
    self.isSimulated = isSimulated
  }
}

/// Where one named tensor lies in a structure's flat values.
public struct TensorLayout: Sendable, Equatable {
  public let name: String
  public let shape: [Int]
  public let offset: Int
  /// What the learning rate of a dense matrix is multiplied by for this tensor.
  public let learningRateScale: Double

  public var count: Int { shape.reduce(1, *) }
  public var range: Range<Int> { offset..<offset + count }

  public init(name: String, shape: [Int], offset: Int, learningRateScale: Double) {
    self.name = name
    self.shape = shape
    self.offset = offset
    self.learningRateScale = learningRateScale
  }
}

/// Where the weights of one matrix sit: all that a checkpoint needs, beside the label and the values, to make it again.
public struct Pattern: Sendable, Equatable {
  public var arrays: [String: [Int32]]

  public init(_ arrays: [String: [Int32]] = [:]) { self.arrays = arrays }

  /// Bytes of the index arrays.
  public var byteCount: Int { arrays.values.reduce(0) { $0 + $1.count * 4 } }
}

/// What the products cost.
public struct Cost: Sendable, Equatable {
  /// 2 x multiply-adds of the forward product.
  public var flops: Int
  /// Those of both gradients; twice the forward product's for most.
  public var backwardFlops: Int
  public var valueBytes: Int
  public var indexBytes: Int
  /// x read and y written, fp32.
  public var activationBytes: Int
  /// Kept for the backward pass beside x: the inner activations of a factorised structure.
  public var savedBytes: Int

  public var bytes: Int { valueBytes + indexBytes + activationBytes + 2 * savedBytes }

  public init(
    flops: Int, backwardFlops: Int? = nil, valueBytes: Int, indexBytes: Int, activationBytes: Int, savedBytes: Int
  ) {
    self.flops = flops
    self.backwardFlops = backwardFlops ?? 2 * flops
    self.valueBytes = valueBytes
    self.indexBytes = indexBytes
    self.activationBytes = activationBytes
    self.savedBytes = savedBytes
  }
}
