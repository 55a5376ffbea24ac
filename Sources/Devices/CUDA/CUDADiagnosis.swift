import Arrays
import CCUDA
import FoundationEssentials

/// What `doctor` says of CUDA: the GPU, each library and where it lies, and what is missing for what.
package struct CUDADiagnosis: Sendable {
  package let isAvailable: Bool
  /// The GPU, or why there is none.
  package let summary: String
  /// One sentence a library.
  package let libraries: [String]
  /// What runs here, and what does not and why; empty without a GPU.
  package let primitives: [String]

  package static func read(environment: [String: String] = CUDALibraries.environment) -> CUDADiagnosis {
    let found = CUDALibraries.search(environment: environment)
    let libraries = found.map { library in
      let name = library.role.files[0]
      return library.path.map { "\(name): \($0)" }
        ?? "\(name): \(library.reason); \(library.role.withoutIt)"
    }
    do {
      let opened = try CUDALibraries.open(environment: environment)
      let context = try CUDAContext(opened, ordinal: 0)
      return CUDADiagnosis(
        isAvailable: true, summary: describe(context), libraries: libraries,
        primitives: primitives(opened) + check(opened, cache: CUDAModules.defaultFolder()))
    } catch {
      let sentence = (error as? Refusal)?.sentence ?? "\(error)"
      return CUDADiagnosis(isAvailable: false, summary: sentence, libraries: libraries, primitives: [])
    }
  }

  /// What the check of the warpgroups' kernels finds, or why there can be none, and who multiplies with 2:4.
  static func check(_ libraries: CUDALibraries, cache: URL?) -> [String] {
    do {
      let device = try CUDADevice(libraries, precision: .bf16, cache: cache)
      return [try device.kernelCheck(), try device.sparseLibrary()].compactMap { $0 }
    } catch {
      return ["the kernels were not checked: \((error as? Refusal)?.sentence ?? "\(error)")"]
    }
  }

  private static func describe(_ context: CUDAContext) -> String {
    var driver: Int32 = 0
    _ = context.driver.driverGetVersion!(&driver)
    let version = driverVersion(context.libraries).map { ", driver \($0)" } ?? ""
    let counter = CUDAEnergyCounter(context) == nil ? "no energy counter that can be read" : "energy counter readable"
    return
      "\(context.gpuName), compute capability \(context.capability.major).\(context.capability.minor), "
      + "\(context.multiprocessors) multiprocessors, \(context.memoryBytes >> 30) GiB, CUDA "
      + "\(driver / 1000).\(driver % 1000 / 10)\(version), \(counter)"
  }

  private static func driverVersion(_ libraries: CUDALibraries) -> String? {
    guard let management = libraries.management, management.`init`!() == 0 else { return nil }
    defer { _ = management.shutdown!() }
    var text = [CChar](repeating: 0, count: 96)
    guard management.driverVersion!(&text, 95) == 0 else { return nil }
    return text.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } }
  }

  private static func primitives(_ libraries: CUDALibraries) -> [String] {
    let compiles = (try? libraries.compilerOrRefusal()) != nil
    let own = compiles ? "" : " (from the cache alone: NVRTC is missing)"
    return [
      "products of blocks on a diagonal, dense and batched"
        + (libraries.hasMatmul ? "" : ": missing, they need cuBLASLt"),
      "block-sparse products on tensor cores (sides of 16 or a multiple)" + own,
      "grid products of any other blocks" + own,
      "2:4 and V:N:M on sparse tensor cores" + own, "compressed-row products (csr, fan-in, N:M, diagonals)" + own,
      "embedding, RMSNorm, RoPE, attention, SwiGLU, cross-entropy, AdamW" + own,
      "cuSPARSE is not used: the catalog has no product that only it computes, and compressed rows, which it could multiply too, "
        + "are multiplied by own kernels that keep tokens side by side",
    ]
  }
}
