import Devices
import Glibc

/// Which of its kernels OpenBLAS runs.
///
/// A release that is older than the processor does not know it and falls back to kernels of the SSE age, several times
/// slower than what the same file holds for wider instruction sets: no baseline at all. Such a choice is made anew.
enum KernelChoice {
  /// Cores whose kernels use neither AVX2 nor FMA, as `openblas_get_corename` names them.
  static let narrow: Set<String> = [
    "Katmai", "Coppermine", "Northwood", "Prescott", "Banias", "Atom", "Core2", "Penryn", "Dunnington", "Nehalem",
    "Sandybridge", "Athlon", "Opteron", "Opteron_SSE3", "Barcelona", "Bobcat", "Nano", "generic",
  ]

  /// The core to ask for instead; nil where the choice suits the instruction sets or there is nothing wider.
  static func better(than core: String, instructionSets: [String]) -> String? {
    guard narrow.contains(core) else { return nil }
    if instructionSets.contains("avx512") { return "SkylakeX" }
    return instructionSets.contains("avx2") ? "Haswell" : nil
  }

  /// The library, closed and opened once more where it chose kernels far below the processor and the environment did not
  /// name any. The variable is read when a library is opened, and is left as it was found.
  static func widened(_ library: OpenedLibrary, _ environment: [String: String]) -> OpenedLibrary {
    let variable = "OPENBLAS_CORETYPE", question = "openblas_get_corename"
    guard (environment[variable] ?? "").isEmpty, let core = library.call(question),
      let better = better(than: core, instructionSets: CPUDevice.available)
    else { return library }
    library.close()
    setenv(variable, better, 1)
    defer { unsetenv(variable) }
    return OpenedLibrary(library.path) ?? library
  }
}
