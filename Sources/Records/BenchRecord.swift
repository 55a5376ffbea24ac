/// One timed product of one structure: a line of `bench.jsonl`, schema `filigree.bench/1`.
///
/// Every number was measured in the run that wrote it, the dense time included: `dense.seconds` is the same product by
/// the best dense GEMM found, timed in turn with the structure.
public struct BenchRecord: Codable, Sendable, Equatable {
  public static let schemaName = "filigree.bench/1"

  public struct Dense: Codable, Sendable, Equatable {
    public var library: String
    public var seconds: Double
    /// Median absolute deviation / median of the dense time; a large one says that the machine was not quiet.
    public var spread: Double?

    public init(library: String, seconds: Double, spread: Double? = nil) {
      self.library = library
      self.seconds = seconds
      self.spread = spread
    }
  }

  public var schema = BenchRecord.schemaName
  public var structure: String
  public var outputs: Int
  public var inputs: Int
  public var tokens: Int
  /// Stored values / (outputs x inputs), of the member that was timed.
  public var density: Double
  /// The density that was asked for; the member is the nearest not above it.
  public var requestedDensity: Double
  /// `forward`, `inputGradient` or `weightGradient`.
  public var pass: String
  public var dtype: String
  public var device: String
  public var isa: String
  public var threads: Int
  /// Median.
  public var seconds: Double
  /// Median absolute deviation / median.
  public var spread: Double
  public var repeats: Int
  /// Floating-point operations really done.
  public var flops: Double
  /// Bytes that must move at least once: values, indices and both activations.
  public var bytes: Double
  public var flopsPerSecond: Double
  /// flopsPerSecond / the FMA peak measured in this run.
  public var efficiency: Double
  /// Roofline: the larger of flops / peak and bytes / bandwidth.
  public var predictedSeconds: Double
  public var dense: Dense
  /// dense.seconds / seconds.
  public var speedup: Double
  /// 1 / density.
  public var idealSpeedup: Double
  /// What a caller with row-major activations pays to enter and leave the device's layout.
  public var conversionSeconds: Double
  /// True only if the result was checked against the definition in this run, before the timing.
  public var verified: Bool
  /// Worst error / derived bound; at most 1 when verified.
  public var errorFraction: Double
  /// Energy of one call: of the processor packages, null where it cannot be read; and of the GPU where one computes, else
  /// absent.
  @Nullable public var joules: Double?
  public var gpuJoules: Double?
  /// True for a structure that stores and multiplies its zeros: its time is no measure of what sparsity gains.
  public var simulated: Bool?
  /// The share of `flops` spent on filling the shape up to whole blocks; absent where there is none.
  public var padding: Double?
  public var machine: String
  public var commit: String
  /// ISO 8601, UTC.
  public var time: String

  public init(
    structure: String, outputs: Int, inputs: Int, tokens: Int, density: Double, requestedDensity: Double, pass: String,
    dtype: String, device: String, isa: String, threads: Int, seconds: Double, spread: Double, repeats: Int,
    flops: Double, bytes: Double, flopsPerSecond: Double, efficiency: Double, predictedSeconds: Double, dense: Dense,
    speedup: Double, idealSpeedup: Double, conversionSeconds: Double, verified: Bool, errorFraction: Double,
    joules: Double?, gpuJoules: Double? = nil, simulated: Bool? = nil, padding: Double? = nil, machine: String,
    commit: String, time: String
  ) {
    self.structure = structure
    self.outputs = outputs
    self.inputs = inputs
    self.tokens = tokens
    self.density = density
    self.requestedDensity = requestedDensity
    self.pass = pass
    self.dtype = dtype
    self.device = device
    self.isa = isa
    self.threads = threads
    self.seconds = seconds
    self.spread = spread
    self.repeats = repeats
    self.flops = flops
    self.bytes = bytes
    self.flopsPerSecond = flopsPerSecond
    self.efficiency = efficiency
    self.predictedSeconds = predictedSeconds
    self.dense = dense
    self.speedup = speedup
    self.idealSpeedup = idealSpeedup
    self.conversionSeconds = conversionSeconds
    self.verified = verified
    self.errorFraction = errorFraction
    self.joules = joules
    self.gpuJoules = gpuJoules
    self.simulated = simulated
    self.padding = padding
    self.machine = machine
    self.commit = commit
    self.time = time
  }
}

extension BenchRecord {
  /// Faster than its share of the operations allows, by more than a tenth: something else ran beside dense, or only this fits
  /// a cache.
  package var exceedsIdeal: Bool { verified && speedup > 1.1 * idealSpeedup }
}
