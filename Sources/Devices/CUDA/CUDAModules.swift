import Arrays
import CCUDA
import FoundationEssentials
import Glibc
import Records
import Synchronization

/// The kernels' sources compiled for one GPU and one kind of element, each when it is first needed.
///
/// A compiled source is kept in the user's cache folder, beside everything it was compiled from; what is found there is used
/// only when all of that is the same, byte for byte. Modules are loaded until the device goes.
final class CUDAModules: @unchecked Sendable {
  private let context: CUDAContext
  private let options: [String]
  private let folder: URL?
  private struct Loaded {
    var modules: [String: fg_handle] = [:]
    var functions: [String: fg_handle] = [:]
    var sharedBytes: [String: Int] = [:]
  }
  private let loaded = Mutex<SendableBox>(SendableBox())

  /// Handles are the driver's, which any thread may use.
  private struct SendableBox: @unchecked Sendable {
    var content = Loaded()
  }

  init(_ context: CUDAContext, precision: CUDAPrecision, cache folder: URL?) {
    self.context = context
    self.folder = folder
    options = CUDAModules.options(architecture: CUDAModules.architecture(context.capability), precision)
  }

  deinit {
    try? context.enter()
    for module in loaded.withLock({ $0.content.modules.values }) { _ = context.driver.moduleUnload!(module) }
  }

  /// "sm_90a" gives Hopper's own instructions; other GPUs have their plain name.
  static func architecture(_ capability: (major: Int, minor: Int)) -> String {
    capability == (9, 0) ? "sm_90a" : "sm_\(capability.major)\(capability.minor)"
  }

  static func options(architecture: String, _ precision: CUDAPrecision) -> [String] {
    ["--gpu-architecture=\(architecture)", "--std=c++17"] + (precision == .bf16 ? ["-DELEMENT_BF16"] : [])
  }

  /// Every file of the tree's kernels.
  static let sources: [(name: String, text: String)] = {
    var all: [(name: String, text: String)] = []
    while true {
      let source = fg_source_at(Int32(all.count))
      guard let name = source.name, let text = source.text else { return all }
      all.append((String(cString: name), String(cString: text)))
    }
  }()

  /// The kernel `name` of a source; `shared` bytes of dynamic shared memory are allowed for.
  func function(_ name: String, of source: String, shared: Int) throws -> fg_handle {
    try loaded.withLock { box in
      var function = box.content.functions[name]
      if function == nil {
        if box.content.modules[source] == nil { box.content.modules[source] = try load(source) }
        try context.check(
          context.driver.moduleGetFunction!(&function, box.content.modules[source], name), "finding the kernel \(name)")
        box.content.functions[name] = function
      }
      // 48 KiB need no leave, less what the kernel declares itself: some KiB.
      if shared > 32 << 10, box.content.sharedBytes[name, default: 0] < shared {
        try context.check(
          context.driver.functionSetAttribute!(function, Int32(FG_FUNCTION_DYNAMIC_SHARED), Int32(shared)),
          "giving the kernel \(name) \(shared) bytes of shared memory")
        box.content.sharedBytes[name] = shared
      }
      return function!
    }
  }

  private func load(_ source: String) throws -> fg_handle {
    let key = key(of: source)
    let file = folder?.appendingPathComponent(CUDAModules.fileName(source, key))
    if let cubin = file.flatMap({ CUDAModules.cached($0, key) }), let module = try? module(of: cubin, source) {
      return module
    }
    let cubin = try CUDAModules.compile(source, options, with: try context.libraries.compilerOrRefusal())
    let loaded = try module(of: cubin, source)
    // A cache that cannot be written costs time, and nothing else.
    if let file {
      try? AtomicFile.makeFolder(file.deletingLastPathComponent())
      _ = try? AtomicFile.write(Array(key.utf8) + [0] + cubin, to: file)
    }
    return loaded
  }

  private func module(of cubin: [UInt8], _ source: String) throws -> fg_handle {
    var module: fg_handle?
    try cubin.withUnsafeBytes {
      try context.check(context.driver.moduleLoadData!(&module, $0.baseAddress), "loading \(source)")
    }
    return module!
  }

  /// Everything that decides what the compiler makes.
  private func key(of source: String) -> String {
    var version = "no compiler"
    if let compiler = try? context.libraries.compilerOrRefusal() {
      var major: Int32 = 0, minor: Int32 = 0
      _ = compiler.version!(&major, &minor)
      version = "NVRTC \(major).\(minor)"
    }
    let texts = CUDAModules.sources.filter { $0.name == source || !$0.name.hasSuffix(".cu") }
    return ([source, version] + options + texts.map(\.text)).joined(separator: "\n")
  }

  /// The same for the same machine code.
  func identity(of source: String) -> String { CUDAModules.digits(key(of: source)) }

  private static func cached(_ file: URL, _ key: String) -> [UInt8]? {
    guard let data = try? Data(contentsOf: file), data.count < 64 << 20 else { return nil }
    let head = Array(key.utf8) + [0]
    guard data.count > head.count, data.prefix(head.count).elementsEqual(head) else { return nil }
    return Array(data.dropFirst(head.count))
  }

  /// FNV-1a; two keys with one name are told apart by the file's contents.
  private static func fileName(_ source: String, _ key: String) -> String { source + "-" + digits(key) + ".cubin" }

  private static func digits(_ key: String) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in key.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// The user's cache folder: $XDG_CACHE_HOME/filigree or ~/.cache/filigree; nil where there is no home.
  static func defaultFolder(_ environment: [String: String] = CUDALibraries.environment) -> URL? {
    if let cache = environment["XDG_CACHE_HOME"], cache.hasPrefix("/") {
      return URL(filePath: cache + "/filigree", directoryHint: .isDirectory)
    }
    guard let home = environment["HOME"], home.hasPrefix("/") else { return nil }
    return URL(filePath: home + "/.cache/filigree", directoryHint: .isDirectory)
  }

  /// Compiles one source; the log has the registers and spills of each kernel where the options ask for them.
  package static func compile(
    _ source: String, _ options: [String], with compiler: fg_compiler, log kept: ((String) -> Void)? = nil
  ) throws -> [UInt8] {
    guard let text = sources.first(where: { $0.name == source })?.text else {
      preconditionFailure("there is no kernel source \(source)")
    }
    let headers = sources.filter { !$0.name.hasSuffix(".cu") }
    var program: fg_handle?
    let made = withCStrings(headers.map(\.text)) { texts in
      withCStrings(headers.map(\.name)) { names in
        compiler.createProgram!(&program, text, source, Int32(headers.count), texts, names)
      }
    }
    guard made == 0 else {
      throw Refusal.failed("NVRTC takes no program: \(words(compiler, made))")
    }
    defer { _ = compiler.destroyProgram!(&program) }
    let result = withCStrings(options) { compiler.compileProgram!(program, Int32(options.count), $0) }
    var size = 0
    _ = compiler.getProgramLogSize!(program, &size)
    var log = [CChar](repeating: 0, count: max(size, 1))
    _ = compiler.getProgramLog!(program, &log)
    let report = log.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    kept?(report)
    guard result == 0 else {
      throw Refusal.failed(
        "NVRTC cannot compile \(source) with \(options.joined(separator: " ")): "
          + (report.split(separator: "\n").first { $0.contains("error") }.map(String.init)
            ?? words(compiler, result)))
    }
    _ = compiler.getCUBINSize!(program, &size)
    var cubin = [UInt8](repeating: 0, count: size)
    let copied = cubin.withUnsafeMutableBytes {
      compiler.getCUBIN!(program, $0.baseAddress?.assumingMemoryBound(to: CChar.self))
    }
    guard copied == 0, size > 0 else { throw Refusal.failed("NVRTC gives no machine code for \(source)") }
    return cubin
  }

  private static func words(_ compiler: fg_compiler, _ code: Int32) -> String {
    compiler.getErrorString!(code).map { String(cString: $0) } ?? "error \(code)"
  }

  private static func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
  ) -> Result {
    let copies = strings.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return copies.map { UnsafePointer($0) }.withUnsafeBufferPointer { body($0.baseAddress) }
  }
}
