import Arrays
import CCUDA
import FoundationEssentials
import Glibc
import Synchronization

/// What numbers a CUDA device computes with; sums are fp32, and values, gradients and moments are fp32 always.
public enum CUDAPrecision: String, CaseIterable, Sendable {
  /// Activations and weights are rounded to bf16 on their way into the tensor cores.
  case bf16
  case fp32
  /// As fp32, but products by cuBLASLt round their factors to tf32, which has 10 explicit bits.
  case tf32

  var elementBytes: Int { self == .bf16 ? 2 : 4 }
  /// What rounding a factor to tf32 can do, relative to its size: 10 explicit bits, to nearest.
  public static let tensorFloatRoundoff = 0x1p-11
  /// Half the distance from 1 to the next number that an activation can be.
  public var unitRoundoff: Double { self == .bf16 ? 0x1p-8 : 0x1p-24 }
}

/// An NVIDIA GPU of compute capability 8.0 or later: kernels of this tree compiled for it when first needed, dense products
/// by cuBLASLt.
///
/// Activations lie feature-major, [features, pitch], so that a feature is a line of memory wherever it lies and a strided
/// group costs nothing; the pitch is the tokens rounded up to 64, and the lanes beyond the last token hold zeros. No kernel
/// adds floats in an order that varies: same seed, same bits, on one GPU model.
public final class CUDADevice: Device, @unchecked Sendable {
  public let tokenGranularity = 16
  public let precision: CUDAPrecision
  public var name: String { context.name }
  public var isa: String { "sm_\(context.capability.major)\(context.capability.minor)" }
  public var gpuName: String { context.gpuName }
  /// The multiprocessors: nothing here depends on how many threads the host has.
  public var threads: Int { context.multiprocessors }

  let context: CUDAContext
  let modules: CUDAModules
  private let energy: CUDAEnergyCounter?
  let tables = CUDATables()
  let shadows = CUDAShadows()
  let warpgroups: CUDATrust
  let matmul = Mutex<CUDAMatmul?>(nil)
  let sparse = Mutex<CUDASparse?>(nil)
  private let flopCount = Atomic<Int>(0)
  private let tensorFloatFlopCount = Atomic<Int>(0)
  private let spare = Mutex<[Int: [Buffer]]>([:])
  private let constants = Mutex<[String: Vector]>([:])
  let cacheFolder: URL?
  /// Flops from which on the candidates of a dense product are worth measuring.
  let measuredFrom: Int

  /// - Parameters:
  ///   - index: the GPU's number as the driver counts.
  ///   - precision: bf16 where nothing else is said.
  /// - Throws: a `Refusal` of kind `missing` that says which of driver, GPU or library is not here.
  public convenience init(index: Int = 0, precision: CUDAPrecision = .bf16) throws {
    try self.init(
      CUDALibraries.open(), index: index, precision: precision, cache: CUDAModules.defaultFolder())
  }

  package init(
    _ libraries: CUDALibraries, index: Int = 0, precision: CUDAPrecision, cache: URL? = nil,
    measuredFrom: Int = 1 << 27, trustsKernels: Bool = false
  ) throws {
    warpgroups = CUDATrust(trustsAll: trustsKernels)
    context = try CUDAContext(libraries, ordinal: index)
    energy = CUDAEnergyCounter(context)
    self.precision = precision
    cacheFolder = cache
    self.measuredFrom = measuredFrom
    modules = CUDAModules(context, precision: precision, cache: cache)
  }

  public var unitRoundoff: Double { precision.unitRoundoff }

  public var flops: Int { flopCount.load(ordering: .relaxed) }

  public var tensorFloatFlops: Int { tensorFloatFlopCount.load(ordering: .relaxed) }

  func count(flops: Int) { flopCount.add(flops, ordering: .relaxed) }

  /// Of flops that are counted already: by cuBLASLt, which rounds factors to tf32 where that is the precision.
  func countOfLibrary(flops: Int) {
    if precision == .tf32 { tensorFloatFlopCount.add(flops, ordering: .relaxed) }
  }

  public func synchronize() throws { try context.synchronize() }

  public func countedJoules() -> Double? { energy?.joules() }

  // MARK: Launches

  /// Runs a kernel of `source` on the stream; a grid without blocks is nothing to do.
  func launch<Arguments>(
    _ kernel: String, of source: String, grid: (Int, Int), threads: Int = 256, shared: Int = 0, _ arguments: Arguments
  ) throws {
    guard grid.0 > 0, grid.1 > 0 else { return }
    precondition(grid.0 <= Int(Int32.max) && grid.1 <= 65535)
    try context.enter()
    let function = try modules.function(kernel, of: source, shared: shared)
    var arguments = arguments
    let code = withUnsafeMutablePointer(to: &arguments) { pointer in
      var parameters: [UnsafeMutableRawPointer?] = [UnsafeMutableRawPointer(pointer)]
      return context.driver.launchKernel!(
        function, UInt32(grid.0), UInt32(grid.1), 1, UInt32(threads), 1, 1, UInt32(shared), context.stream, &parameters,
        nil)
    }
    try context.check(code, "the kernel \(kernel)")
  }

  /// Blocks of 256 threads for `count` numbers, each thread meeting several where there are many.
  func blocks(for count: Int) -> Int { min((count + 255) / 256, context.multiprocessors * 16) }

  // MARK: Memory

  /// Undefined contents. What is spare is given back before the answer is no.
  func allocate(byteCount: Int) throws -> Buffer {
    let rounded = max(256, (byteCount + 255) / 256 * 256)
    var address = try context.allocate(byteCount: rounded)
    if address == nil {
      dropSpare()
      address = try context.allocate(byteCount: rounded)
    }
    guard let address, let pointer = UnsafeMutableRawPointer(bitPattern: UInt(address)) else {
      throw Refusal.failed(
        "\(byteCount) bytes of memory cannot be had on \(name), which has \(try context.freeBytes()) of "
          + "\(context.memoryBytes) free; use a smaller model, batch or sequence")
    }
    let context = context
    return Buffer(address: pointer, byteCount: rounded) { [weak shadows] in
      shadows?.forget($0)
      context.free($0)
    }
  }

  private func dropSpare() {
    spare.withLock { $0 = [:] }
    shadows.dropStale()
  }

  private func zeroed(byteCount: Int) throws -> Buffer {
    let buffer = try allocate(byteCount: byteCount)
    try clear(buffer.address, byteCount: buffer.byteCount)
    return buffer
  }

  func clear(_ address: UnsafeMutableRawPointer, byteCount: Int) throws {
    guard byteCount > 0 else { return }
    try context.enter()
    try context.check(
      context.driver.setBytes!(address.deviceAddress, 0, byteCount, context.stream), "clearing memory")
  }

  /// Lends `byteCount` bytes, with undefined contents, from the spare buffers of that size. The stream keeps the order, so a
  /// buffer can be lent again before its last user is done.
  func withBuffer<Result>(byteCount: Int, _ body: (Buffer) throws -> Result) throws -> Result {
    let buffer = try spare.withLock { $0[byteCount]?.popLast() } ?? allocate(byteCount: byteCount)
    defer { spare.withLock { if $0[byteCount, default: []].count < 8 { $0[byteCount, default: []].append(buffer) } } }
    return try body(buffer)
  }

  public func makeVector(count: Int) throws -> Vector {
    let (bytes, overflow) = count.multipliedReportingOverflow(by: 4)
    guard count >= 0, !overflow else { throw Refusal.badInput("a vector of \(count) numbers cannot be made") }
    return Vector(buffer: try zeroed(byteCount: bytes), offset: 0, count: count)
  }

  public func makeActivations(tokens: Int, features: Int) throws -> Activations {
    let bytes = try byteCount(tokens: tokens, features: features)
    return Activations(buffer: try zeroed(byteCount: bytes), tokens: tokens, features: features)
  }

  /// A narrow matrix has room for fp32 whatever the elements are: statistics (a norm's inverse, attention's log sums) are
  /// matrices too, and kept in full.
  private func byteCount(tokens: Int, features: Int) throws -> Int {
    let (padded, first) = tokens.addingReportingOverflow(63)
    let (elements, second) = (padded / 64 * 64).multipliedReportingOverflow(by: features)
    let (bytes, third) = elements.multipliedReportingOverflow(
      by: features <= CUDADevice.widestStatistic ? 4 : precision.elementBytes)
    guard tokens >= 0, features >= 0, !first, !second, !third, padded <= Int(Int32.max) else {
      throw Refusal.badInput("activations of \(tokens) tokens by \(features) features cannot be made")
    }
    return bytes
  }

  private static let widestStatistic = 128

  /// The fp32 numbers [features, pitch] of a statistic.
  func statistic(_ a: Activations) throws -> UnsafeMutablePointer<Float> {
    guard a.features <= CUDADevice.widestStatistic else {
      throw Refusal.missing(
        "\(name) keeps statistics of at most \(CUDADevice.widestStatistic) heads, not \(a.features)")
    }
    return a.buffer.address.assumingMemoryBound(to: Float.self)
  }

  public func withScratch<Result>(
    tokens: Int, features: Int, _ body: (Activations) throws -> Result
  ) throws -> Result {
    try withBuffer(byteCount: byteCount(tokens: tokens, features: features)) { buffer in
      let activations = Activations(buffer: buffer, tokens: tokens, features: features)
      try clearPadding(of: activations)
      return try body(activations)
    }
  }

  public func withScratch<Result>(count: Int, _ body: (Vector) throws -> Result) throws -> Result {
    try withBuffer(byteCount: max(64, count * 4)) { try body(Vector(buffer: $0, offset: 0, count: count)) }
  }

  private func clearPadding(of a: Activations) throws {
    guard a.tokens != a.pitch, a.features > 0 else { return }
    let size = precision.elementBytes
    try context.enter()
    try context.check(
      context.driver.setBytes2D!(
        (a.buffer.address + a.tokens * size).deviceAddress, a.pitch * size, 0, (a.pitch - a.tokens) * size, a.features,
        context.stream), "clearing padding")
  }

  public func clear(_ vector: Vector) throws {
    wrote(vector)
    try clear(vector.pointer, byteCount: vector.count * 4)
  }

  public func clear(_ a: Activations) throws {
    try clear(a.buffer.address, byteCount: a.features * a.pitch * precision.elementBytes)
  }

  public func constant(_ name: String, _ make: () -> [Float]) throws -> Vector {
    if let vector = constants.withLock({ $0[name] }) { return vector }
    let vector = try makeVector(make())
    return constants.withLock {
      $0[name] = $0[name] ?? vector
      return $0[name]!
    }
  }
}

extension Activations {
  /// Elements from a feature to the next on a CUDA device.
  var pitch: Int { (tokens + 63) / 64 * 64 }
}
