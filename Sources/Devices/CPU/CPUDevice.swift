import Arrays
import CKernels
import Glibc
import Synchronization

/// The processor: 16-token panels, C micro-kernels chosen at run time, a thread pool.
///
/// Same seed, same bits, for any number of threads: work is cut into tasks by the shapes alone.
public final class CPUDevice: Device, @unchecked Sendable {
  public let name = "cpu"
  public let isa: String
  public let threads: Int
  public let tokenGranularity = 16

  let kernels: fg_kernels
  let pool: ThreadPool
  private let flopCount = Atomic<Int>(0)
  private let spare = Mutex<[Int: [Buffer]]>([:])
  let constants = Mutex<[String: Vector]>([:])

  /// Instruction sets, best first; the first that the machine has is the default.
  public static let instructionSets = ["avx512", "avx2", "neon", "scalar"]

  /// Those of ``instructionSets`` that this machine can run.
  public static var available: [String] { instructionSets.filter { fg_kernels_named($0) != nil } }

  /// - Parameters:
  ///   - threads: at least 1; by default one for every core this process may use.
  ///   - isa: one of ``instructionSets``; by default the best one here.
  public init(threads: Int? = nil, isa: String? = nil) throws {
    let threads = threads ?? CPUDevice.cores
    guard (1...1024).contains(threads) else {
      throw Refusal.badInput("\(threads) threads cannot compute; give a number from 1 to 1024")
    }
    let chosen = isa ?? CPUDevice.available[0]
    guard CPUDevice.instructionSets.contains(chosen) else {
      throw Refusal.badInput(
        "there is no instruction set '\(chosen)'; choose one of \(CPUDevice.instructionSets.joined(separator: ", "))")
    }
    guard let kernels = fg_kernels_named(chosen) else {
      throw Refusal.missing(
        "this processor lacks \(chosen); it has \(CPUDevice.available.joined(separator: ", "))")
    }
    self.isa = chosen
    self.threads = threads
    self.kernels = kernels.pointee
    pool = ThreadPool(threads: threads)
    guard pool.threads == threads else {
      throw Refusal.failed("the system gives \(pool.threads) of \(threads) threads; ask for fewer with --threads")
    }
  }

  /// Cores that this process may use.
  public static var cores: Int { max(1, Int(fg_cores())) }

  public var flops: Int { flopCount.load(ordering: .relaxed) }

  func count(flops: Int) { flopCount.add(flops, ordering: .relaxed) }

  public func synchronize() {}

  // MARK: Memory

  private static let largePage = 1 << 21

  /// What a buffer of so many bytes, at most 2^60, holds of memory once it is written: whole pages of 4 KiB. Its large pages
  /// lie inside, so that it never holds more than this.
  package static func heldBytes(for byteCount: Int) -> Int { max(4096, (byteCount + 4095) / 4096 * 4096) }

  /// Zeroed memory straight from the kernel, given back to it when freed: what a run has held shows in the process's
  /// size. From 2 MiB on it begins where a large page does, as many as fit spare the address translation, and the rest is
  /// in small ones.
  private func allocate(byteCount: Int) throws -> Buffer {
    func refusal() -> Refusal {
      .failed("\(byteCount) bytes of memory cannot be had; use a smaller model, batch or sequence")
    }
    guard byteCount <= 1 << 60 else { throw refusal() }
    let held = CPUDevice.heldBytes(for: byteCount)
    let slack = byteCount >= CPUDevice.largePage ? CPUDevice.largePage : 0
    guard let whole = mmap(nil, held + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      whole != MAP_FAILED
    else { throw refusal() }
    let before = slack == 0 ? 0 : (slack - Int(UInt(bitPattern: whole) % UInt(slack))) % slack
    let address = whole + before
    if before > 0 { munmap(whole, before) }
    if before < slack { munmap(address + held, slack - before) }
    if slack > 0 { madvise(address, held, MADV_HUGEPAGE) }
    return Buffer(address: address, byteCount: held) { munmap($0, held) }
  }

  public func makeVector(count: Int) throws -> Vector {
    let (bytes, overflow) = count.multipliedReportingOverflow(by: 4)
    guard count >= 0, !overflow else { throw Refusal.badInput("a vector of \(count) numbers cannot be made") }
    return Vector(buffer: try allocate(byteCount: bytes), offset: 0, count: count)
  }

  public func makeActivations(tokens: Int, features: Int) throws -> Activations {
    let bytes = try CPUDevice.byteCount(tokens: tokens, features: features)
    return Activations(buffer: try allocate(byteCount: bytes), tokens: tokens, features: features)
  }

  private static func byteCount(tokens: Int, features: Int) throws -> Int {
    let (padded, first) = tokens.addingReportingOverflow(15)
    let (lines, second) = (padded / 16).multipliedReportingOverflow(by: features)
    let (bytes, third) = lines.multipliedReportingOverflow(by: 64)
    guard tokens >= 0, features >= 0, !first, !second, !third else {
      throw Refusal.badInput("activations of \(tokens) tokens by \(features) features cannot be made")
    }
    return bytes
  }

  public func withScratch<Result>(
    tokens: Int, features: Int, _ body: (Activations) throws -> Result
  ) throws -> Result {
    let bytes = try CPUDevice.byteCount(tokens: tokens, features: features)
    return try withBuffer(byteCount: bytes) { buffer in
      let activations = Activations(buffer: buffer, tokens: tokens, features: features)
      clearPadding(of: activations)
      return try body(activations)
    }
  }

  public func withScratch<Result>(count: Int, _ body: (Vector) throws -> Result) throws -> Result {
    try withBuffer(byteCount: max(64, count * 4)) { try body(Vector(buffer: $0, offset: 0, count: count)) }
  }

  /// Lends `byteCount` bytes from the spare buffers of that size.
  func withBuffer<Result>(byteCount: Int, _ body: (Buffer) throws -> Result) throws -> Result {
    let buffer = try spare.withLock { $0[byteCount]?.popLast() } ?? allocate(byteCount: byteCount)
    // A few of a size are kept for the next call; no more than a layer's backward pass holds at once.
    defer { spare.withLock { if $0[byteCount, default: []].count < 8 { $0[byteCount, default: []].append(buffer) } } }
    return try body(buffer)
  }

  /// Room for numbers that a pattern has: patterns change in training, and there are few sizes, each up to an eighth too large,
  /// lest a copy of every size that ever was be kept.
  static func patternBytes(floats: Int) -> Int {
    let bytes = max(4096, 4 * floats)
    let step = max(4096, (1 << (Int.bitWidth - 1 - bytes.leadingZeroBitCount)) / 8)
    return (bytes + step - 1) / step * step
  }

  private func clearPadding(of a: Activations) {
    guard a.tokens % 16 != 0 else { return }
    memset(a.lines + a.panels(before: a.tokens) * a.features * 16, 0, a.features * 64)
  }

  public func write(_ numbers: UnsafeBufferPointer<Float>, to vector: Vector) {
    precondition(numbers.count == vector.count)
    guard let source = numbers.baseAddress else { return }
    memcpy(vector.pointer, source, numbers.count * 4)
  }

  public func read(_ vector: Vector, into numbers: UnsafeMutableBufferPointer<Float>) {
    precondition(numbers.count == vector.count)
    guard let target = numbers.baseAddress else { return }
    memcpy(target, vector.pointer, numbers.count * 4)
  }

  public func clear(_ vector: Vector) {
    let chunk = 1 << 20
    pool.run((vector.count + chunk - 1) / chunk) { index in
      memset(vector.pointer + index * chunk, 0, min(chunk, vector.count - index * chunk) * 4)
    }
  }

  public func clear(_ a: Activations) {
    pool.run(a.panels) { memset(a.panel($0), 0, a.features * 64) }
  }

  public func upload(_ rows: UnsafeBufferPointer<Float>, to a: Activations) {
    precondition(rows.count == a.tokens * a.features)
    guard let source = rows.baseAddress else { return }
    convert(a) { panel, features, tokens, first in
      for f in features {
        for t in 0..<16 { panel[f * 16 + t] = t < tokens ? source[(first + t) * a.features + f] : 0 }
      }
    } squares: { panel, f, first in
      self.kernels.transpose(source + first * a.features + f, a.features, panel + f * 16, 16)
    }
  }

  public func download(_ a: Activations, into rows: UnsafeMutableBufferPointer<Float>) {
    precondition(rows.count == a.tokens * a.features)
    guard let target = rows.baseAddress else { return }
    convert(a) { panel, features, tokens, first in
      for t in 0..<tokens { for f in features { target[(first + t) * a.features + f] = panel[f * 16 + t] } }
    } squares: { panel, f, first in
      self.kernels.transpose(panel + f * 16, 16, target + first * a.features + f, a.features)
    }
  }

  /// Walks the 16 x 16 squares of every panel, and what is left over at the edges.
  private func convert(
    _ a: Activations,
    edges: (UnsafeMutablePointer<Float>, Range<Int>, Int, Int) -> Void,
    squares: (UnsafeMutablePointer<Float>, Int, Int) -> Void
  ) {
    pool.run(a.panels) { index in
      let panel = a.panel(index)
      let tokens = min(16, a.tokens - index * 16)
      let whole = tokens == 16 ? a.features / 16 * 16 : 0
      for f in stride(from: 0, to: whole, by: 16) { squares(panel, f, index * 16) }
      edges(panel, whole..<a.features, tokens, index * 16)
    }
  }
}

extension Vector {
  /// The CPU's view.
  var pointer: UnsafeMutablePointer<Float> { buffer.address.assumingMemoryBound(to: Float.self) + offset }
}

extension Activations {
  /// The CPU's view: [panels, features, 16].
  var lines: UnsafeMutablePointer<Float> { buffer.address.assumingMemoryBound(to: Float.self) }
  var panels: Int { (tokens + 15) / 16 }
  func panel(_ index: Int) -> UnsafeMutablePointer<Float> { lines + index * features * 16 }
  func panels(before token: Int) -> Int { token / 16 }
}
