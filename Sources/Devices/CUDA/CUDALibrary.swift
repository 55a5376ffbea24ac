import Arrays
import CCUDA
import Glibc

/// One of NVIDIA's libraries: what it is for, under which names it goes, and what was found of it.
package struct CUDALibrary: Sendable {
  package enum Role: String, CaseIterable, Sendable {
    case driver, compiler, matmul, management, semiStructured

    /// Names of the file, the newest first.
    var files: [String] {
      switch self {
      case .driver: ["libcuda.so.1"]
      case .compiler: ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"]
      case .matmul: ["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"]
      case .management: ["libnvidia-ml.so.1"]
      case .semiStructured: ["libcusparseLt.so.0", "libcusparseLt.so"]
      }
    }

    /// What its absence means.
    package var withoutIt: String {
      switch self {
      case .driver: "without it nothing runs on a GPU"
      case .compiler: "without it only kernels that are in the cache run"
      case .matmul:
        "without it products of blocks on a diagonal do not run, and so neither dense nor any model; where there is a GPU, each "
          + "structure that needs them is named"
      case .management: "without it the driver's version and the GPU's energy are not known"
      case .semiStructured: "without it 2:4 is multiplied by this program's own kernels alone, mma.sp"
      }
    }
  }

  package let role: Role
  /// Where it was found, links followed; nil when it was not, or is not a usable library.
  package let path: String?
  /// Why it is missing.
  package let reason: String
  private let handle: Handle?

  /// Never closed: threads and contexts of the library live on.
  private struct Handle: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
  }

  func symbol(_ name: String) -> UnsafeMutableRawPointer? { handle.flatMap { dlsym($0.pointer, name) } }

  /// Opens the first usable file: by its bare name (the loader's paths), then in each folder.
  static func open(_ role: Role, folders: [String]) -> CUDALibrary {
    var reason = "not found"
    for folder in [""] + folders {
      for file in role.files {
        let path = folder.isEmpty ? file : folder + "/" + file
        guard folder.isEmpty || access(path, R_OK) == 0 else { continue }
        if role == .compiler, !folder.isEmpty { openBuiltins(in: folder) }
        _ = dlerror()
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
          if !folder.isEmpty, let text = dlerror() { reason = String(cString: text) }
          continue
        }
        return CUDALibrary(role: role, path: resolved(path), reason: "", handle: Handle(pointer: handle))
      }
    }
    return CUDALibrary(role: role, path: nil, reason: reason, handle: nil)
  }

  /// NVRTC looks for this one by its bare name, which in a Python environment is on no path: opened first, it is there.
  private static func openBuiltins(in folder: String) {
    for path in CUDAFolders.glob(folder + "/libnvrtc-builtins.so*") { _ = dlopen(path, RTLD_NOW | RTLD_GLOBAL) }
  }

  private static func resolved(_ path: String) -> String {
    guard let text = realpath(path, nil) else { return path }
    defer { free(text) }
    return String(cString: text)
  }
}

/// Folders in which NVIDIA's libraries may lie.
enum CUDAFolders {
  static func all(_ environment: [String: String]) -> [String] {
    var folders: [String] = []
    for name in ["CUDA_HOME", "CUDA_PATH"] {
      if let home = environment[name], !home.isEmpty { folders += [home + "/lib64", home + "/lib"] }
    }
    folders += ["/usr/local/cuda/lib64", "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib"]
    for site in sitePackages(environment) { folders += glob(site + "/nvidia/*/lib") }
    return folders
  }

  /// PYTHONPATH, the active environment, and that of the first `python3` on PATH.
  private static func sitePackages(_ environment: [String: String]) -> [String] {
    var sites = (environment["PYTHONPATH"] ?? "").split(separator: ":").map(String.init)
    var homes = ["VIRTUAL_ENV", "CONDA_PREFIX"].compactMap { environment[$0] }
    for folder in (environment["PATH"] ?? "").split(separator: ":") {
      let program = String(folder) + "/python3"
      guard access(program, X_OK) == 0 else { continue }
      // The environment's own folder, and that of the interpreter it was made from.
      homes.append(String(folder) + "/..")
      if let text = realpath(program, nil) {
        homes.append(String(cString: text).split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 })
        free(text)
      }
      break
    }
    for home in homes where !home.isEmpty {
      sites += glob(home + "/lib/python3*/site-packages") + glob(home + "/lib/python3*/dist-packages")
      sites += glob(home + "/lib/python3/dist-packages") + glob(home + "/local/lib/python3*/dist-packages")
    }
    return sites
  }

  static func glob(_ pattern: String) -> [String] {
    var result = glob_t()
    defer { globfree(&result) }
    guard Glibc.glob(pattern, 0, nil, &result) == 0 else { return [] }
    return (0..<Int(result.gl_pathc)).compactMap { result.gl_pathv[$0].map { String(cString: $0) } }
  }
}
