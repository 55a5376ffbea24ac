/// The machine a record was made on, as far as it says itself, and its limits as measured in the run.
public struct MachineRecord: Codable, Sendable, Equatable {
  public var processor: String
  public var cores: Int
  public var memoryBytes: Int
  public var operatingSystem: String
  /// The instruction set that the kernels used.
  public var isa: String
  public var device: String
  public var threads: Int
  /// Multiply-add peak of all `threads` together, measured.
  public var peakFlopsPerSecond: Double
  /// What that was measured with: "fp32 multiply-add", "bf16 mma.sync", "bf16 wgmma"; absent in records before it was written.
  public var peakInstruction: String?
  /// Read bandwidth from memory of all `threads` together, measured.
  public var bytesPerSecond: Double
  /// Dense libraries found ("openblas 0.3.21"); empty means that the own dense product is the baseline.
  public var denseLibraries: [String]
  /// True where the processor's energy counter can be read.
  public var energyReadable: Bool
  /// True where the GPU's can; absent where no GPU computes.
  public var gpuEnergyReadable: Bool?
  /// What a GPU's check of its newest kernels found, in one sentence; absent where there is none.
  public var kernelCheck: String?

  public init(
    processor: String, cores: Int, memoryBytes: Int, operatingSystem: String, isa: String, device: String, threads: Int,
    peakFlopsPerSecond: Double, bytesPerSecond: Double, denseLibraries: [String], energyReadable: Bool,
    gpuEnergyReadable: Bool? = nil, kernelCheck: String? = nil, peakInstruction: String? = nil
  ) {
    self.processor = processor
    self.cores = cores
    self.memoryBytes = memoryBytes
    self.operatingSystem = operatingSystem
    self.isa = isa
    self.device = device
    self.threads = threads
    self.peakFlopsPerSecond = peakFlopsPerSecond
    self.bytesPerSecond = bytesPerSecond
    self.denseLibraries = denseLibraries
    self.energyReadable = energyReadable
    self.gpuEnergyReadable = gpuEnergyReadable
    self.kernelCheck = kernelCheck
    self.peakInstruction = peakInstruction
  }
}

extension MachineRecord {
  /// Whether times and bits of the two can stand in one record: the same processor, device, instruction set and threads.
  package func computesLike(_ other: MachineRecord) -> Bool {
    processor == other.processor && device == other.device && isa == other.isa && threads == other.threads
  }

  /// "1 thread", "8 threads".
  package var threadsText: String { "\(threads) thread\(threads == 1 ? "" : "s")" }

  package var howItComputes: String { "\(threadsText) of \(isa) on \(device) of \(processor)" }
}
