import Arrays
import CCUDA

/// Numbers to the GPU and back, copies on it, and copies in other types or places.
extension CUDADevice {
  private static let source = "layout.cu"

  func send(_ bytes: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer) throws {
    guard let source = bytes.baseAddress, !bytes.isEmpty else { return }
    try context.enter()
    // From ordinary memory the driver has read everything when this returns.
    try context.check(
      context.driver.copyToDevice!(target.deviceAddress, source, bytes.count, context.stream), "a copy to the GPU")
  }

  func receive(_ source: UnsafeMutableRawPointer, into bytes: UnsafeMutableRawBufferPointer) throws {
    guard let target = bytes.baseAddress, !bytes.isEmpty else { return }
    try context.enter()
    try context.check(
      context.driver.copyToHost!(target, source.deviceAddress, bytes.count, context.stream), "a copy from the GPU")
    try context.synchronize()
  }

  /// Lends whole numbers on the GPU.
  func with<Result>(_ numbers: [Int32], _ body: (UnsafePointer<Int32>) throws -> Result) throws -> Result {
    try withBuffer(byteCount: max(64, numbers.count * 4)) { buffer in
      try numbers.withUnsafeBytes { try send($0, to: buffer.address) }
      return try body(UnsafePointer(buffer.address.assumingMemoryBound(to: Int32.self)))
    }
  }

  public func write(_ numbers: UnsafeBufferPointer<Float>, to vector: Vector) throws {
    precondition(numbers.count == vector.count)
    wrote(vector)
    try send(UnsafeRawBufferPointer(numbers), to: vector.pointer)
  }

  public func read(_ vector: Vector, into numbers: UnsafeMutableBufferPointer<Float>) throws {
    precondition(numbers.count == vector.count)
    try receive(vector.pointer, into: UnsafeMutableRawBufferPointer(numbers))
  }

  public func upload(_ rows: UnsafeBufferPointer<Float>, to a: Activations) throws {
    precondition(rows.count == a.tokens * a.features)
    guard !rows.isEmpty else { return }
    try withBuffer(byteCount: rows.count * 4) { buffer in
      try send(UnsafeRawBufferPointer(rows), to: buffer.address)
      try launch(
        "upload_rows", of: CUDADevice.source, grid: (a.pitch / 32, (a.features + 31) / 32), conversion(a, buffer))
    }
  }

  public func download(_ a: Activations, into rows: UnsafeMutableBufferPointer<Float>) throws {
    precondition(rows.count == a.tokens * a.features)
    guard !rows.isEmpty else { return }
    try withBuffer(byteCount: rows.count * 4) { buffer in
      try launch(
        "download_rows", of: CUDADevice.source, grid: (a.pitch / 32, (a.features + 31) / 32), conversion(a, buffer))
      try receive(buffer.address, into: UnsafeMutableRawBufferPointer(rows))
    }
  }

  private func conversion(_ a: Activations, _ buffer: Buffer) -> fg_convert {
    var arguments = fg_convert()
    arguments.rows = buffer.address.assumingMemoryBound(to: Float.self)
    arguments.x = a.buffer.address
    arguments.tokens = Int32(a.tokens)
    arguments.features = Int32(a.features)
    arguments.pitch = Int32(a.pitch)
    return arguments
  }

  // MARK: Copies on the GPU

  private func move(_ source: UnsafeMutableRawPointer, to target: UnsafeMutableRawPointer, byteCount: Int) throws {
    guard byteCount > 0 else { return }
    try context.enter()
    try context.check(
      context.driver.copyOnDevice!(target.deviceAddress, source.deviceAddress, byteCount, context.stream),
      "a copy on the GPU")
  }

  public func copy(_ a: Activations, to y: Activations) throws {
    precondition(a.features == y.features && a.tokens == y.tokens)
    try move(a.buffer.address, to: y.buffer.address, byteCount: a.features * a.pitch * precision.elementBytes)
  }

  public func copyFeatures(_ a: Activations, _ range: Range<Int>, to y: Activations, at feature: Int) throws {
    precondition(a.tokens == y.tokens && range.lowerBound >= 0 && range.upperBound <= a.features)
    precondition(feature >= 0 && feature + range.count <= y.features)
    let line = a.pitch * precision.elementBytes
    try move(
      a.buffer.address + range.lowerBound * line, to: y.buffer.address + feature * line, byteCount: range.count * line)
  }

  public func copyTokens(_ a: Activations, from start: Int, to y: Activations) throws {
    precondition(a.features == y.features && start.isMultiple(of: 16) && start + y.tokens <= a.tokens)
    precondition(y.tokens.isMultiple(of: 16) || start + y.tokens == a.tokens)
    try moveLines(a, from: start, to: y, at: 0, tokens: y.tokens)
  }

  public func pasteTokens(_ a: Activations, to y: Activations, at start: Int) throws {
    precondition(a.features == y.features && start.isMultiple(of: 16) && start + a.tokens <= y.tokens)
    precondition(a.tokens.isMultiple(of: 16) || start + a.tokens == y.tokens)
    try moveLines(a, from: 0, to: y, at: start, tokens: a.tokens)
  }

  private func moveLines(_ a: Activations, from source: Int, to y: Activations, at target: Int, tokens: Int) throws {
    guard tokens > 0, a.features > 0 else { return }
    let size = precision.elementBytes, onDevice: UInt32 = 2
    var copy = fg_copy_2d()
    copy.srcMemoryType = onDevice
    copy.srcDevice = a.buffer.address.deviceAddress
    copy.srcXInBytes = source * size
    copy.srcPitch = a.pitch * size
    copy.dstMemoryType = onDevice
    copy.dstDevice = y.buffer.address.deviceAddress
    copy.dstXInBytes = target * size
    copy.dstPitch = y.pitch * size
    copy.WidthInBytes = tokens * size
    copy.Height = a.features
    try context.enter()
    try context.check(context.driver.copy2D!(&copy, context.stream), "a copy of tokens on the GPU")
  }

  // MARK: Expansions

  public func expand(_ expansion: Expansion, _ values: Vector, into expanded: Vector) throws {
    precondition(values.count == expansion.values && expanded.count == expansion.count)
    var arguments = fg_gather()
    arguments.source = UnsafePointer(values.pointer)
    arguments.target = UnsafeMutableRawPointer(expanded.pointer)
    arguments.index = try tables.expansion(expansion, on: self).index
    arguments.count = Int64(expansion.count)
    wrote(expanded)
    try launch("expand", of: CUDADevice.source, grid: (blocks(for: expansion.count), 1), arguments)
  }

  public func accumulateExpansionGradient(
    _ expansion: Expansion, _ dexpanded: Vector, into dvalues: Vector
  ) throws {
    precondition(dvalues.count == expansion.values && dexpanded.count == expansion.count)
    let table = try tables.expansion(expansion, on: self)
    var arguments = fg_gather()
    arguments.source = UnsafePointer(dexpanded.pointer)
    arguments.target = UnsafeMutableRawPointer(dvalues.pointer)
    arguments.index = table.position
    arguments.start = table.start
    arguments.count = Int64(expansion.values)
    wrote(dvalues)
    try launch("collect", of: CUDADevice.source, grid: (blocks(for: expansion.values), 1), arguments)
  }

  // MARK: Weights as the tensor cores take them

  /// To be called by everything that writes to a vector.
  func wrote(_ vector: Vector) { shadows.wrote(vector) }

  /// The values in the elements' type: themselves, or a bf16 copy that is made again when they have changed.
  func elements(_ values: Vector) throws -> UnsafeMutableRawPointer {
    guard precision == .bf16 else { return UnsafeMutableRawPointer(values.pointer) }
    let shadow = try shadows.shadow(of: values) { try allocate(byteCount: max(2, values.count * 2)) }
    if shadow.isStale {
      var arguments = fg_gather()
      arguments.source = UnsafePointer(values.pointer)
      arguments.target = shadow.buffer.address
      arguments.count = Int64(values.count)
      try launch("narrow", of: CUDADevice.source, grid: (blocks(for: values.count), 1), arguments)
    }
    return shadow.buffer.address
  }
}
