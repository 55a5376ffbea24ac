import Arrays
import CCUDA
import Synchronization

/// One GPU's primary context and one stream, on which everything is asked for in order. Ends when the last buffer goes.
final class CUDAContext: @unchecked Sendable {
  let libraries: CUDALibraries
  let ordinal: Int
  let gpuName: String
  /// Compute capability: (9, 0).
  let capability: (major: Int, minor: Int)
  let multiprocessors: Int
  /// Shared memory that one block can ask for.
  let sharedBytes: Int
  let memoryBytes: Int
  /// "0000:1b:00.0": the same GPU to every library, however CUDA_VISIBLE_DEVICES counts; nil where the driver does not say.
  let busID: String?
  let stream: fg_handle
  private let device: Int32
  private let handle: fg_handle

  var name: String { "cuda:\(ordinal)" }
  var driver: fg_driver { libraries.driver }

  /// - Throws: a `Refusal` of kind `missing` when there is no such GPU, or it is older than the kernels allow.
  init(_ libraries: CUDALibraries, ordinal: Int) throws {
    let driver = libraries.driver
    func require(_ code: Int32, _ what: String) throws {
      guard code != 0 else { return }
      throw Refusal.missing(
        "the GPU cuda:\(ordinal) cannot be used: \(what) says \(CUDAContext.text(code, driver)); use --device cpu")
    }
    let started = driver.`init`!(0)
    guard started != FG_CUDA_NO_DEVICE else {
      throw Refusal.missing("there is no CUDA device on this machine: the NVIDIA driver finds no GPU; use --device cpu")
    }
    try require(started, "the driver's start")
    var count: Int32 = 0
    try require(driver.deviceGetCount!(&count), "the count of GPUs")
    guard count > 0 else {
      throw Refusal.missing("there is no CUDA device on this machine: the NVIDIA driver finds no GPU; use --device cpu")
    }
    guard ordinal < count else {
      throw Refusal.missing("there is no GPU cuda:\(ordinal): this machine has \(count), the first is cuda:0")
    }
    var device: Int32 = 0
    try require(driver.deviceGet!(&device, Int32(ordinal)), "its number")
    func attribute(_ number: Int) throws -> Int {
      var value: Int32 = 0
      try require(driver.deviceGetAttribute!(&value, Int32(number), device), "attribute \(number)")
      return Int(value)
    }
    var name = [CChar](repeating: 0, count: 128)
    try require(driver.deviceGetName!(&name, 127, device), "its name")
    var bytes = 0
    try require(driver.deviceTotalMem!(&bytes, device), "its memory")
    let capability = (
      major: try attribute(FG_ATTRIBUTE_MAJOR), minor: try attribute(FG_ATTRIBUTE_MINOR)
    )
    let multiprocessors = try attribute(FG_ATTRIBUTE_MULTIPROCESSORS)
    let sharedBytes = try attribute(FG_ATTRIBUTE_SHARED_PER_BLOCK)
    gpuName = name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    var bus = [CChar](repeating: 0, count: 32)
    let hasBus = driver.deviceGetPCIBusId!(&bus, 32, device) == 0
    busID = hasBus ? bus.withUnsafeBufferPointer { String(cString: $0.baseAddress!) } : nil
    guard capability.major >= 8 else {
      throw Refusal.missing(
        "\(gpuName) has compute capability \(capability.major).\(capability.minor), and the kernels need 8.0 (Ampere) or "
          + "later; use --device cpu")
    }
    var handle: fg_handle?
    try require(driver.primaryContextRetain!(&handle, device), "its context")
    var stream: fg_handle?
    let made = driver.contextSetCurrent!(handle)
    let code = made != 0 ? made : driver.streamCreate!(&stream, UInt32(FG_STREAM_NON_BLOCKING))
    guard code == 0, let handle, let stream else {
      _ = driver.primaryContextRelease!(device)
      try require(code == 0 ? 999 : code, "its stream")
      preconditionFailure("an error was thrown")
    }
    self.libraries = libraries
    self.ordinal = ordinal
    self.capability = capability
    self.multiprocessors = multiprocessors
    self.sharedBytes = sharedBytes
    memoryBytes = bytes
    self.stream = stream
    self.device = device
    self.handle = handle
  }

  deinit {
    _ = driver.contextSetCurrent!(handle)
    _ = driver.streamDestroy!(stream)
    _ = driver.primaryContextRelease!(device)
  }

  /// Contexts belong to threads: every call from outside begins with this.
  func enter() throws { try check(driver.contextSetCurrent!(handle), "entering its context") }

  private static func text(_ code: Int32, _ driver: fg_driver) -> String {
    var name: UnsafePointer<CChar>?
    var sentence: UnsafePointer<CChar>?
    _ = driver.getErrorName!(code, &name)
    _ = driver.getErrorString!(code, &sentence)
    let known = name.map { String(cString: $0) } ?? "error \(code)"
    return sentence.map { "\(known) (\(String(cString: $0)))" } ?? known
  }

  /// - Throws: a `Refusal` that names what failed; errors come late on a GPU, so it may have been something before it.
  func check(_ code: Int32, _ what: @autoclosure () -> String) throws {
    guard code != 0 else { return }
    if code == FG_CUDA_OUT_OF_MEMORY {
      throw Refusal.failed(
        "\(what()) needs more memory than \(name) has free; use a smaller model, batch or sequence")
    }
    throw Refusal.failed(
      "\(name) (\(gpuName)) failed at \(what()) or before it: \(CUDAContext.text(code, driver)); run the command again, "
        + "with --resume where it was training")
  }

  func synchronize() throws {
    try enter()
    try check(driver.streamSynchronize!(stream), "waiting for the stream")
  }

  // MARK: Memory

  /// Memory with undefined contents; nil when there is too little.
  func allocate(byteCount: Int) throws -> fg_address? {
    try enter()
    var address: fg_address = 0
    let code = driver.memoryAllocate!(&address, byteCount)
    if code == FG_CUDA_OUT_OF_MEMORY { return nil }
    try check(code, "an allocation of \(byteCount) bytes")
    return address
  }

  /// What is under way may still use it: waits for that first.
  func free(_ address: UnsafeMutableRawPointer) {
    _ = driver.contextSetCurrent!(handle)
    _ = driver.streamSynchronize!(stream)
    _ = driver.memoryFree!(fg_address(UInt(bitPattern: address)))
  }

  func freeBytes() throws -> Int {
    try enter()
    var free = 0, total = 0
    try check(driver.memoryInformation!(&free, &total), "asking for free memory")
    return free
  }
}

extension UnsafeMutableRawPointer {
  /// A GPU's address.
  var deviceAddress: fg_address { fg_address(UInt(bitPattern: self)) }
}
