import Arrays

/// What a machine must be able to do to train every structure and the model: this list and nothing else.
///
/// A structure or a layer is written once against this protocol. Letters as in docs/Notation.md. Every `into` is
/// overwritten unless `accumulate` is true; every gradient of values accumulates. A device that lacks a primitive throws
/// a `Refusal` of kind `missing` that names it: nothing falls back to another product in silence.
public protocol Device: AnyObject, Sendable {
  /// "cpu", "cuda:0".
  var name: String { get }
  /// The instruction set or architecture its kernels run on: "avx2", "sm_90".
  var isa: String { get }
  var threads: Int { get }
  /// A sequence is padded to a multiple of this many tokens.
  var tokenGranularity: Int { get }
  /// What rounding one activation can do, relative to its size: 2^-24 in fp32, 2^-8 in bf16. Values stay fp32 always.
  var unitRoundoff: Double { get }
  /// Floating-point operations that the product primitives have done since the device was made.
  var flops: Int { get }
  /// Of ``flops``, those of products that rounded their factors to tf32 first, by ``CUDAPrecision/tensorFloatRoundoff`` each.
  var tensorFloatFlops: Int { get }
  /// The two limits of the roofline, measured anew on all threads together.
  func measureLimits() throws -> DeviceLimits
  /// Joules that the device's own counter shows, from a zero that does not move: two readings and their difference. Nil
  /// where it has none or it cannot be read; a processor's counters are read elsewhere.
  func countedJoules() -> Double?

  // MARK: Memory

  /// `count` zeros.
  func makeVector(count: Int) throws -> Vector
  /// A matrix of zeros.
  func makeActivations(tokens: Int, features: Int) throws -> Activations
  /// Lends a matrix for the duration of `body`; its contents are undefined, its padding lanes zero.
  func withScratch<Result>(tokens: Int, features: Int, _ body: (Activations) throws -> Result) throws -> Result
  /// Lends a vector for the duration of `body`; its contents are undefined.
  func withScratch<Result>(count: Int, _ body: (Vector) throws -> Result) throws -> Result
  func write(_ numbers: UnsafeBufferPointer<Float>, to vector: Vector) throws
  func read(_ vector: Vector, into numbers: UnsafeMutableBufferPointer<Float>) throws
  /// From and to row-major [T, features].
  func upload(_ rows: UnsafeBufferPointer<Float>, to activations: Activations) throws
  func download(_ activations: Activations, into rows: UnsafeMutableBufferPointer<Float>) throws
  func clear(_ vector: Vector) throws
  func clear(_ activations: Activations) throws
  /// Numbers that never change, such as a transform's matrix: made when `name` is asked for first, kept with the device,
  /// to be read only. One name always stands for the same numbers.
  func constant(_ name: String, _ make: () -> [Float]) throws -> Vector
  /// Everything asked for so far is done when this returns; times are taken between two of these.
  func synchronize() throws

  // MARK: Products with weights

  /// y (+)= W x
  func multiply(
    _ grid: BlockGrid, _ values: Vector, _ x: Activations, into y: Activations, accumulate: Bool) throws
  /// dx (+)= W' dy
  func multiplyTransposed(
    _ grid: BlockGrid, _ values: Vector, _ dy: Activations, into dx: Activations, accumulate: Bool) throws
  /// dvalues += (dy x') on the grid's blocks
  func accumulateGradient(_ grid: BlockGrid, dy: Activations, x: Activations, into dvalues: Vector) throws

  /// The same three for an unstructured pattern.
  func multiply(
    _ pattern: CompressedRows, _ values: Vector, _ x: Activations, into y: Activations, accumulate: Bool) throws
  func multiplyTransposed(
    _ pattern: CompressedRows, _ values: Vector, _ dy: Activations, into dx: Activations, accumulate: Bool) throws
  func accumulateGradient(_ pattern: CompressedRows, dy: Activations, x: Activations, into dvalues: Vector) throws

  /// expanded = E values, for weights that are tied or masked.
  func expand(_ expansion: Expansion, _ values: Vector, into expanded: Vector) throws
  /// dvalues += E' dexpanded
  func accumulateExpansionGradient(_ expansion: Expansion, _ dexpanded: Vector, into dvalues: Vector) throws

  // MARK: The model's own

  /// y[t] = table[tokens[t]]; table [V, H] row-major; a token of -1 gives zeros.
  func embed(_ tokens: [Int32], table: Vector, into y: Activations) throws
  /// dtable[tokens[t]] += dy[t]
  func accumulateEmbeddingGradient(_ tokens: [Int32], dy: Activations, into dtable: Vector) throws
  /// y = x * inverse * weight, inverse = 1 / sqrt(mean(x^2) + epsilon), kept: one number a token.
  func rmsNorm(
    _ x: Activations, weight: Vector, epsilon: Float, into y: Activations, inverse: Activations) throws
  /// dx (+)= the gradient through the norm; dweight accumulates.
  func rmsNormGradient(
    _ x: Activations, weight: Vector, inverse: Activations, dy: Activations, into dx: Activations,
    accumulate: Bool, dweight: Vector) throws
  /// Rotates pairs (d, d + D/2) of every head in place; `inverse` rotates back, which is the gradient.
  func rope(_ x: Activations, _ rope: RotaryEmbedding, sequence: Int, inverse: Bool) throws
  /// Causal attention within each padded sequence; `logSums` [T, heads] is kept for the gradient.
  func attention(
    _ geometry: AttentionGeometry, q: Activations, k: Activations, v: Activations, into output: Activations,
    logSums: Activations) throws
  func attentionGradient(
    _ geometry: AttentionGeometry, q: Activations, k: Activations, v: Activations, output: Activations,
    logSums: Activations, doutput: Activations, dq: Activations, dk: Activations, dv: Activations) throws
  /// h = silu(gate) * up
  func swiGLU(gate: Activations, up: Activations, into h: Activations) throws
  /// dgate and dup from dh; `dup` may be the storage of `dh`.
  func swiGLUGradient(
    gate: Activations, up: Activations, dh: Activations, dgate: Activations, dup: Activations) throws
  /// In place, logits -> their gradient of scale * sum of losses. `losses` [T] gets each token's loss, without the scale; of
  /// a target of -1 it is 0, and so is the gradient. Nothing is waited for.
  func crossEntropy(_ logits: Activations, targets: [Int32], scale: Float, into losses: Vector) throws
  /// For how many tokens logits over a vocabulary are best held at once, a multiple of the granularity.
  func tokensOfLogits(vocabulary: Int) -> Int
  /// y += scale a
  func add(_ a: Activations, scale: Float, to y: Activations) throws
  func copy(_ a: Activations, to y: Activations) throws
  /// The features `range` of a become the features `feature` ..< `feature` + range.count of y; y's others stay.
  func copyFeatures(_ a: Activations, _ range: Range<Int>, to y: Activations, at feature: Int) throws
  /// Rows `range` of a, as rows 0 ..< range.count of y; `range` starts at a multiple of the granularity.
  func copyTokens(_ a: Activations, from start: Int, to y: Activations) throws
  /// y's rows start ..< start + a.tokens become a's.
  func pasteTokens(_ a: Activations, to y: Activations, at start: Int) throws

  // MARK: Optimiser

  func adamW(_ step: AdamWStep, value: Vector, gradient: Vector, first: Vector, second: Vector) throws
  /// The sum of the squares, in Double, in an order that depends on `count` alone.
  func sumOfSquares(_ vector: Vector) throws -> Double
}

/// What no product can beat: its flops at this rate, its bytes at this bandwidth.
public struct DeviceLimits: Sendable {
  public var flopsPerSecond: Double
  /// Reading from memory, far beyond every cache.
  public var bytesPerSecond: Double
  /// What the first was measured with.
  public var multiplyAdd = "fp32 multiply-add"
}

/// Attention's geometry. Query head h reads key-value head h / (heads / keyValueHeads).
public struct AttentionGeometry: Sendable {
  public var heads: Int
  public var keyValueHeads: Int
  public var headDimension: Int
  /// Tokens of one sequence, padding included; a multiple of the device's granularity.
  public var sequence: Int
  /// Keys that a query sees, itself included.
  public var window: Int

  public init(heads: Int, keyValueHeads: Int, headDimension: Int, sequence: Int, window: Int) {
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headDimension = headDimension
    self.sequence = sequence
    self.window = window
  }
}

/// The numbers of one AdamW step that do not depend on the parameter (Loshchilov and Hutter 2019).
public struct AdamWStep: Sendable {
  public var learningRate: Double
  public var beta1: Double
  public var beta2: Double
  public var epsilon: Double
  public var weightDecay: Double
  /// Multiplies every gradient: the clipping.
  public var gradientScale: Double
  /// 1 for the first step.
  public var count: Int

  public init(
    learningRate: Double, beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double, gradientScale: Double,
    count: Int
  ) {
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
    self.gradientScale = gradientScale
    self.count = count
  }
}

extension Device {
  public func countedJoules() -> Double? { nil }

  /// fp32's.
  public var unitRoundoff: Double { 0x1p-24 }

  public var tensorFloatFlops: Int { 0 }

  /// So few that the logits stay near where they are made.
  public func tokensOfLogits(vocabulary: Int) -> Int { 256 }

  /// y += a
  public func add(_ a: Activations, to y: Activations) throws { try add(a, scale: 1, to: y) }

  public func makeVector(_ numbers: [Float]) throws -> Vector {
    let vector = try makeVector(count: numbers.count)
    try numbers.withUnsafeBufferPointer { try write($0, to: vector) }
    return vector
  }

  public func numbers(_ vector: Vector) throws -> [Float] {
    var numbers = [Float](repeating: 0, count: vector.count)
    try numbers.withUnsafeMutableBufferPointer { try read(vector, into: $0) }
    return numbers
  }

  /// Row-major [T, features] in.
  public func makeActivations(_ rows: [Float], tokens: Int, features: Int) throws -> Activations {
    precondition(rows.count == tokens * features)
    let activations = try makeActivations(tokens: tokens, features: features)
    try rows.withUnsafeBufferPointer { try upload($0, to: activations) }
    return activations
  }

  /// Row-major [T, features] out.
  public func rows(_ activations: Activations) throws -> [Float] {
    var rows = [Float](repeating: 0, count: activations.tokens * activations.features)
    try rows.withUnsafeMutableBufferPointer { try download(activations, into: $0) }
    return rows
  }
}
