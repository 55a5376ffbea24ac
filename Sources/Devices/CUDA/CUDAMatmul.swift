import Arrays
import CCUDA

/// Dense and batched products by cuBLASLt: D (+)= op(A) op(B), row-major, the same shape for every member of a batch.
///
/// For each shape the library's candidates are measured once and the fastest is kept; one that fails is none, and the next takes its
/// place. A candidate always gives the same bits;
/// which one is chosen may differ from process to process unless the choice is remembered (see ``CUDAChoices``).
final class CUDAMatmul: @unchecked Sendable {
  /// A matrix in memory: `leading` elements from a row to the next as stored, `batchStride` from a member to the next.
  struct Operand {
    let address: UnsafeMutableRawPointer
    let leading: Int
    let batchStride: Int
    var isTransposed = false
    let type: Int
  }

  struct Product {
    let rows: Int
    let columns: Int
    let depth: Int
    let batch: Int
    let left: Operand
    let right: Operand
    let result: Operand
    let accumulate: Bool

    var flops: Int { 2 * rows * columns * depth * batch }

    /// What the choice of an algorithm can depend on.
    var key: String {
      func text(_ o: Operand) -> String {
        "\(o.leading)/\(o.batchStride)/\(o.isTransposed ? "t" : "n")/\(o.type)/\(Product.alignment(o))"
      }
      let shape = "\(rows)x\(columns)x\(depth)*\(batch)"
      return "\(shape) \(text(left)) \(text(right)) \(text(result)) \(accumulate ? "+" : "=")"
    }

    /// The largest power of two up to 256 that divides the address, in bytes.
    static func alignment(_ o: Operand) -> Int {
      let bits = UInt(bitPattern: o.address) | 256
      return Int(bits & (~bits &+ 1))
    }
  }

  /// Lends so many bytes of the GPU's memory.
  typealias Scratch = (_ byteCount: Int, (UnsafeMutableRawPointer) throws -> Void) throws -> Void

  private struct Plan {
    let description: fg_handle
    let layouts: [fg_handle]
    /// The chosen one, then those that take its place where it fails.
    var candidates: [fg_matmul_candidate]
  }

  private static let workspaceBytes = 32 << 20
  private static let candidatesAsked = 8
  private static let rounds = 3

  private let api: fg_matmul
  private let context: CUDAContext
  private let handle: fg_handle
  private let workspace: Buffer
  private let compute: Int
  private let choices: CUDAChoices
  private let measuredFrom: Int
  private var plans: [String: Plan] = [:]

  init(on device: CUDADevice) throws {
    api = try device.context.libraries.matmulOrRefusal()
    context = device.context
    compute = device.precision == .tf32 ? FG_COMPUTE_TF32 : FG_COMPUTE_FP32
    measuredFrom = device.measuredFrom
    workspace = try device.allocate(byteCount: CUDAMatmul.workspaceBytes)
    try context.enter()
    var handle: fg_handle?
    try CUDAMatmul.check(api.create!(&handle), "its start", context)
    self.handle = handle!
    choices = CUDAChoices(
      "\(context.gpuName) cuBLASLt \(api.version!()) \(device.precision)", folder: device.cacheFolder)
  }

  deinit {
    try? context.synchronize()
    for plan in plans.values { destroy(plan.description, plan.layouts) }
    _ = api.destroy!(handle)
  }

  private func destroy(_ description: fg_handle?, _ layouts: [fg_handle]) {
    for layout in layouts { _ = api.layoutDestroy!(layout) }
    _ = api.descriptionDestroy!(description)
  }

  private static func check(_ code: Int32, _ what: String, _ context: CUDAContext) throws {
    guard code != 0 else { return }
    throw Refusal.failed("cuBLASLt on \(context.name) failed at \(what): status \(code)")
  }

  /// False when the library has no algorithm for this product, or none that does not fail.
  /// - Throws: a `Refusal` where the GPU cannot be used afterwards.
  func multiply(_ product: Product, scratch: Scratch) throws -> Bool {
    try context.enter()
    var plan = try plans[product.key] ?? self.plan(product, scratch: scratch)
    defer { plans[product.key] = plan }
    while let candidate = plan.candidates.first {
      let isDone = run(
        plan, candidate, product, into: product.result.address, accumulate: product.accumulate)
      if isDone { return true }
      try context.synchronize()
      plan.candidates.removeFirst()
    }
    return false
  }

  private func run(
    _ plan: Plan, _ candidate: fg_matmul_candidate, _ product: Product, into result: UnsafeMutableRawPointer,
    accumulate: Bool
  ) -> Bool {
    var alpha: Float = 1, beta: Float = accumulate ? 1 : 0
    var algorithm = candidate.algorithm
    return withUnsafePointer(to: &algorithm) {
      $0.withMemoryRebound(to: UInt64.self, capacity: 8) {
        api.multiply!(
          handle, plan.description, &alpha, product.right.address, plan.layouts[0], product.left.address,
          plan.layouts[1], &beta, result, plan.layouts[2], result, plan.layouts[2], $0, workspace.address,
          CUDAMatmul.workspaceBytes, context.stream)
      }
    } == 0
  }

  /// The library counts columns first: a row-major matrix is its transpose there, so D' = op(B)' op(A)'.
  private func plan(
    _ product: Product, scratch: Scratch
  ) throws -> Plan {
    var description: fg_handle?
    try CUDAMatmul.check(
      api.descriptionCreate!(&description, Int32(compute), Int32(FG_TYPE_FP32)), "a description", context)
    var layouts: [fg_handle] = []
    do {
      try set(description!, FG_DESCRIPTION_TRANSPOSE_A, Int32(product.right.isTransposed ? 1 : 0), api.descriptionSet!)
      try set(description!, FG_DESCRIPTION_TRANSPOSE_B, Int32(product.left.isTransposed ? 1 : 0), api.descriptionSet!)
      layouts.append(
        try layout(
          product.right, stored: product.right.isTransposed ? product.columns : product.depth,
          across: product.right.isTransposed ? product.depth : product.columns, product.batch))
      layouts.append(
        try layout(
          product.left, stored: product.left.isTransposed ? product.depth : product.rows,
          across: product.left.isTransposed ? product.rows : product.depth, product.batch))
      layouts.append(try layout(product.result, stored: product.rows, across: product.columns, product.batch))
      var plan = Plan(
        description: description!, layouts: layouts, candidates: try candidates(product, description!, layouts))
      try order(&plan, product, scratch: scratch)
      return plan
    } catch {
      destroy(description, layouts)
      throw error
    }
  }

  private func set<Value>(
    _ object: fg_handle, _ attribute: Int, _ value: Value,
    _ function: @convention(c) (fg_handle?, Int32, UnsafeRawPointer?, Int) -> Int32
  ) throws {
    let code = withUnsafeBytes(of: value) { function(object, Int32(attribute), $0.baseAddress, $0.count) }
    try CUDAMatmul.check(code, "attribute \(attribute)", context)
  }

  /// `stored` rows of `across` numbers.
  private func layout(_ operand: Operand, stored: Int, across: Int, _ batch: Int) throws -> fg_handle {
    var layout: fg_handle?
    try CUDAMatmul.check(
      api.layoutCreate!(&layout, Int32(operand.type), UInt64(across), UInt64(stored), Int64(operand.leading)),
      "a layout", context)
    if batch > 1 {
      do {
        try set(layout!, FG_LAYOUT_BATCH_COUNT, Int32(batch), api.layoutSet!)
        try set(layout!, FG_LAYOUT_BATCH_STRIDE, Int64(operand.batchStride), api.layoutSet!)
      } catch {
        _ = api.layoutDestroy!(layout)
        throw error
      }
    }
    return layout!
  }

  private func candidates(
    _ product: Product, _ description: fg_handle, _ layouts: [fg_handle]
  ) throws -> [fg_matmul_candidate] {
    var preference: fg_handle?
    try CUDAMatmul.check(api.preferenceCreate!(&preference), "a preference", context)
    defer { _ = api.preferenceDestroy!(preference) }
    try set(preference!, FG_PREFERENCE_WORKSPACE, UInt64(CUDAMatmul.workspaceBytes), api.preferenceSet!)
    let sides = [product.right, product.left, product.result, product.result]
    for (index, side) in sides.enumerated() {
      try set(preference!, FG_PREFERENCE_ALIGNMENT_A + index, UInt32(Product.alignment(side)), api.preferenceSet!)
    }
    var results = [fg_matmul_candidate](repeating: fg_matmul_candidate(), count: CUDAMatmul.candidatesAsked)
    var returned: Int32 = 0
    let code = api.candidates!(
      handle, description, layouts[0], layouts[1], layouts[2], layouts[2], preference, Int32(results.count), &results,
      &returned)
    // Nothing suits, whatever the reason: the own kernels take over, on a GPU that is still there.
    guard code == 0 else {
      try context.synchronize()
      return []
    }
    return results.prefix(Int(returned)).filter { $0.state == 0 }
  }

  /// The candidate that is remembered first, or the fastest of a few calls each into scratch memory; those that fail are left out.
  private func order(_ plan: inout Plan, _ product: Product, scratch: Scratch) throws {
    guard plan.candidates.count > 1, product.flops >= measuredFrom else { return }
    func bytes(_ candidate: fg_matmul_candidate) -> [UInt64] {
      withUnsafeBytes(of: candidate.algorithm) { Array($0.bindMemory(to: UInt64.self)) }
    }
    if let chosen = choices[product.key],
      let place = plan.candidates.firstIndex(where: { bytes($0) == chosen })
    {
      return plan.candidates.swapAt(0, place)
    }
    let size = product.result.type == FG_TYPE_BF16 ? 2 : 4
    let span = product.batch * max(product.result.batchStride, 0) + product.rows * product.result.leading
    var timed: [(candidate: fg_matmul_candidate, seconds: Float)] = []
    func measure(_ target: UnsafeMutableRawPointer) throws {
      // A result that starts elsewhere must be no better aligned than the real one.
      for candidate in plan.candidates {
        guard run(plan, candidate, product, into: target, accumulate: false) else {
          try context.synchronize()
          continue
        }
        var works = true
        let seconds = try CUDAEvents.milliseconds(context) {
          for _ in 0..<CUDAMatmul.rounds {
            works = run(plan, candidate, product, into: target, accumulate: false) && works
          }
        }
        if works { timed.append((candidate, seconds)) }
      }
    }
    do {
      try scratch(span * size, measure)
    } catch {
      // Too little memory to measure is no reason to stop: the library's own order stands. A lost GPU is.
      return try context.synchronize()
    }
    timed.sort { $0.seconds < $1.seconds }
    plan.candidates = timed.map(\.candidate)
    if let best = plan.candidates.first { choices[product.key] = bytes(best) }
  }
}

/// Times of work on the stream.
enum CUDAEvents {
  static func milliseconds(_ context: CUDAContext, _ body: () throws -> Void) throws -> Float {
    let driver = context.driver
    var start: fg_handle?, end: fg_handle?
    try context.check(driver.eventCreate!(&start, 0), "making an event")
    defer { _ = driver.eventDestroy!(start) }
    try context.check(driver.eventCreate!(&end, 0), "making an event")
    defer { _ = driver.eventDestroy!(end) }
    try context.check(driver.eventRecord!(start, context.stream), "an event")
    try body()
    try context.check(driver.eventRecord!(end, context.stream), "an event")
    try context.check(driver.eventSynchronize!(end), "waiting for an event")
    var milliseconds: Float = 0
    try context.check(driver.eventElapsedTime!(&milliseconds, start, end), "reading an event")
    return milliseconds
  }
}
