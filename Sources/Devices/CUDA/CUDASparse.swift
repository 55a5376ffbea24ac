import Arrays
import CCUDA

/// Products y (+)= W x by cuSPARSELt, W with two of every four columns in each row, [rows, depth] row-major, x [depth, pitch].
///
/// For each shape the library's algorithms are measured once beside this program's own kernel. Of those that are faster, the fastest
/// whose numbers agree with the kernel's is kept; where there is none, the kernel is. The choice is remembered (see ``CUDAChoices``).
final class CUDASparse: @unchecked Sendable {
  struct Product: Hashable {
    let rows: Int
    let depth: Int
    let pitch: Int

    var key: String { "\(rows)x\(pitch)x\(depth)" }
  }

  /// What a call of the library answered.
  struct Failure: Error {
    let status: Int32
    let what: String

    static func check(_ status: Int32, _ what: String) throws {
      guard status == 0 else { throw Failure(status: status, what: what) }
    }
  }

  private enum Choice {
    case own
    case library(CUDASparsePlan)
  }

  private static let rounds = 3
  /// The versions whose header was read: 0.7.1 is 701, 0.8.1 is 801, 0.10.0 is 1000.
  private static let known = 700..<1100

  let version: String
  private let api: fg_sparse
  private let selectionDestroy: fg_sparse_selection?
  private let context: CUDAContext
  private let handle: UnsafeMutableRawPointer
  private let choices: CUDAChoices
  private var chosen: [Product: Choice] = [:]
  /// Why the library does not compute a product that it was asked for.
  private(set) var remarks: [String] = []

  /// - Throws: a `Refusal` of kind `missing` where the library is not here, cannot start, or is of a version that nobody has read.
  init(on device: CUDADevice) throws {
    guard let api = device.context.libraries.sparse else {
      throw Refusal.missing("cuSPARSELt was not found")
    }
    self.api = api
    context = device.context
    selectionDestroy = context.libraries.sparseSelection
    try context.enter()
    let handle = CUDASparsePlan.object()
    let status = api.`init`!(handle)
    guard status == 0 else {
      handle.deallocate()
      throw Refusal.missing("cuSPARSELt cannot be used: its start answered status \(status)")
    }
    var number: Int32 = 0
    let answered = api.version!(handle, &number)
    guard answered == 0, CUDASparse.known.contains(Int(number)) else {
      _ = api.destroy!(handle)
      handle.deallocate()
      throw Refusal.missing(
        answered == 0
          ? "cuSPARSELt of version number \(number) is not one of 0.7 to 0.10, which are known here"
          : "cuSPARSELt cannot be used: asking for its version answered status \(answered)")
    }
    version = "0.\(number / 100).\(number % 100)"
    self.handle = handle
    choices = CUDAChoices("\(context.gpuName) cuSPARSELt \(number)", folder: device.cacheFolder)
  }

  deinit {
    try? context.synchronize()
    chosen = [:]
    _ = api.destroy!(handle)
    handle.deallocate()
  }

  /// False where the own kernel computes this product; `measure` has what a first time needs.
  func multiply(
    _ product: Product, x: UnsafeMutableRawPointer, into y: UnsafeMutableRawPointer, accumulate: Bool,
    on device: CUDADevice, weights: (_ matrix: CUDASparsePlan) throws -> UnsafeMutableRawPointer,
    measure: Rival
  ) throws -> Bool {
    try context.enter()
    let choice: Choice
    if let known = chosen[product] {
      choice = known
    } else {
      choice = try choose(product, x: x, on: device, weights: weights, measure: measure)
      chosen[product] = choice
    }
    guard case .library(let plan) = choice else { return false }
    do {
      try plan.run(try weights(plan), x, into: y, accumulate: accumulate, on: device)
    } catch let failure as Failure {
      throw Refusal.failed(
        "cuSPARSELt on \(context.name) failed at \(failure.what) of a product \(product.key): status \(failure.status)")
    }
    return true
  }

  /// The own kernel, and whether numbers agree with its own.
  struct Rival {
    /// y = W x
    let run: (_ y: UnsafeMutableRawPointer) throws -> Void
    let agrees: (_ own: UnsafeMutableRawPointer, _ other: UnsafeMutableRawPointer) throws -> Bool
  }

  // MARK: The choice

  /// What is remembered: 1 for the own kernel, 2 and the algorithm's number for the library.
  private func choose(
    _ product: Product, x: UnsafeMutableRawPointer, on device: CUDADevice,
    weights: (CUDASparsePlan) throws -> UnsafeMutableRawPointer, measure: Rival
  ) throws -> Choice {
    do {
      if let remembered = choices[product.key] {
        guard remembered[0] == 2 else { return .own }
        return .library(try plan(product, algorithm: Int(clamping: remembered[1])))
      }
      let found = try fastest(product, x: x, on: device, weights: weights, measure: measure)
      if case .library(let plan) = found {
        choices[product.key] = [2, UInt64(plan.algorithm)] + [UInt64](repeating: 0, count: 6)
      } else {
        choices[product.key] = [1] + [UInt64](repeating: 0, count: 7)
      }
      return found
    } catch let failure as Failure {
      remarks.append("it refuses \(product.key) at \(failure.what) with status \(failure.status)")
    } catch {
      // Too little memory to measure is no reason to stop; a lost GPU is.
      try device.synchronize()
      remarks.append("\(product.key) was not measured: \((error as? Refusal)?.sentence ?? "\(error)")")
    }
    return .own
  }

  private func plan(_ product: Product, algorithm: Int) throws -> CUDASparsePlan {
    try CUDASparsePlan(
      api, selectionDestroy, handle, context, product, algorithm: algorithm)
  }

  private func fastest(
    _ product: Product, x: UnsafeMutableRawPointer, on device: CUDADevice,
    weights: (CUDASparsePlan) throws -> UnsafeMutableRawPointer, measure: Rival
  ) throws -> Choice {
    let first = try plan(product, algorithm: 0), byteCount = product.rows * product.pitch * 2
    let compressed = try weights(first)
    return try device.withBuffer(byteCount: byteCount) { own in
      try device.withBuffer(byteCount: byteCount) { other in
        func time(_ body: () throws -> Void) throws -> Float {
          // The first is not timed: kernels are compiled or loaded then.
          try body()
          return try CUDAEvents.milliseconds(context) { for _ in 0..<CUDASparse.rounds { try body() } }
        }
        let limit = try time { try measure.run(own.address) }
        var faster: [(plan: CUDASparsePlan, time: Float)] = []
        for algorithm in 0..<first.algorithms {
          do {
            let plan = try algorithm == 0 ? first : plan(product, algorithm: algorithm)
            let taken = try time {
              try plan.run(compressed, x, into: other.address, accumulate: false, on: device)
            }
            if taken < limit { faster.append((plan, taken)) }
          } catch is Failure {
            // An algorithm that is not for this product.
            continue
          }
        }
        faster.sort { ($0.time, $0.plan.algorithm) < ($1.time, $1.plan.algorithm) }
        for candidate in faster {
          try device.clear(other.address, byteCount: byteCount)
          try candidate.plan.run(compressed, x, into: other.address, accumulate: false, on: device)
          if try measure.agrees(own.address, other.address) { return .library(candidate.plan) }
          remarks.append(
            "its algorithm \(candidate.plan.algorithm) gave other numbers than mma.sp for \(product.key)")
        }
        return .own
      }
    }
  }
}

/// One product by one algorithm of cuSPARSELt, with the objects that describe it.
final class CUDASparsePlan {
  let algorithm: Int
  /// How many algorithms there are for this product.
  private(set) var algorithms = 1
  /// The description of W.
  private(set) var matrix: UnsafeMutableRawPointer
  private let api: fg_sparse
  private let handle: UnsafeMutableRawPointer
  private let context: CUDAContext
  private let plan: UnsafeMutableRawPointer
  private var workspaceBytes = 0
  private let release: Release

  /// Objects in the order in which they were made, given back the other way round.
  private final class Release {
    private var steps: [() -> Void] = []
    func add(_ step: @escaping () -> Void) { steps.append(step) }
    deinit { for step in steps.reversed() { step() } }
  }

  /// Zeroed memory for an object of the library, whatever its version.
  static func object() -> UnsafeMutableRawPointer {
    let memory = UnsafeMutableRawPointer.allocate(
      byteCount: Int(FG_SPARSE_OBJECT_BYTES), alignment: Int(FG_SPARSE_OBJECT_ALIGNMENT))
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: Int(FG_SPARSE_OBJECT_BYTES))
    return memory
  }

  /// - Throws: a `CUDASparse.Failure` where the library does not multiply so.
  init(
    _ api: fg_sparse, _ selectionDestroy: fg_sparse_selection?, _ handle: UnsafeMutableRawPointer,
    _ context: CUDAContext, _ product: CUDASparse.Product, algorithm: Int
  ) throws {
    self.api = api
    self.handle = handle
    self.context = context
    self.algorithm = algorithm
    let release = Release()
    func object() -> UnsafeMutableRawPointer {
      let memory = CUDASparsePlan.object()
      release.add { memory.deallocate() }
      return memory
    }
    func make(_ what: String, _ status: Int32, _ destroy: (() -> Void)? = nil) throws {
      try CUDASparse.Failure.check(status, what)
      if let destroy { release.add(destroy) }
    }
    let (w, x, y) = (object(), object(), object()), (description, selection) = (object(), object())
    plan = object()
    matrix = w
    self.release = release
    let (rows, depth, pitch) = (Int64(product.rows), Int64(product.depth), Int64(product.pitch))
    let type = Int32(FG_TYPE_BF16), order = Int32(FG_SPARSE_ORDER_ROW), asItIs = Int32(FG_SPARSE_AS_IT_IS)
    try make(
      "the description of W", api.structured!(handle, w, rows, depth, depth, 16, type, order, Int32(FG_SPARSE_HALF))
    ) { _ = api.matrixDestroy!(w) }
    try make("the description of x", api.dense!(handle, x, depth, pitch, pitch, 16, type, order)) {
      _ = api.matrixDestroy!(x)
    }
    try make("the description of y", api.dense!(handle, y, rows, pitch, pitch, 16, type, order)) {
      _ = api.matrixDestroy!(y)
    }
    try make(
      "the description",
      api.description!(handle, description, asItIs, asItIs, w, x, y, y, Int32(FG_SPARSE_COMPUTE_FP32)))
    try make("the selection", api.selection!(handle, selection, description, Int32(FG_SPARSE_DEFAULT))) {
      _ = selectionDestroy?.destroy!(selection)
    }
    var count: Int32 = 0, number = Int32(algorithm)
    try make(
      "the number of algorithms",
      api.selectionGet!(handle, selection, Int32(FG_SELECTION_ALGORITHMS), &count, 4))
    try make("an algorithm", api.selectionSet!(handle, selection, Int32(FG_SELECTION_ALGORITHM), &number, 4))
    let plan = self.plan
    try make("the plan", api.plan!(handle, plan, description, selection)) { _ = api.planDestroy!(plan) }
    try make("asking for its workspace", api.workspace!(handle, plan, &workspaceBytes))
    algorithms = max(1, Int(count))
  }

  func run(
    _ compressed: UnsafeMutableRawPointer, _ x: UnsafeMutableRawPointer, into y: UnsafeMutableRawPointer,
    accumulate: Bool, on device: CUDADevice
  ) throws {
    try context.enter()
    try device.withBuffer(byteCount: max(256, workspaceBytes)) { workspace in
      var alpha: Float = 1, beta: Float = accumulate ? 1 : 0
      var stream: fg_handle? = context.stream
      try CUDASparse.Failure.check(
        api.multiply!(handle, plan, &alpha, compressed, x, &beta, y, y, workspace.address, &stream, 1), "a product")
    }
  }

  /// Bytes of the compressed W, and of what compressing it needs beside.
  func compressedBytes() throws -> (compressed: Int, beside: Int) {
    var bytes = 0, beside = 0
    try CUDASparse.Failure.check(
      api.compressedBytes!(handle, matrix, &bytes, &beside), "the size of the compressed W")
    return (bytes, beside)
  }

  /// Compresses W [rows, depth], row-major in bf16.
  func compress(
    _ dense: UnsafeMutableRawPointer, into compressed: UnsafeMutableRawPointer, beside: UnsafeMutableRawPointer
  ) throws {
    try context.enter()
    try CUDASparse.Failure.check(
      api.compress!(handle, matrix, 1, Int32(FG_SPARSE_AS_IT_IS), dense, compressed, beside, context.stream),
      "compressing W")
  }
}
