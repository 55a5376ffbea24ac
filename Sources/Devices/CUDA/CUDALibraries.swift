import Arrays
import CCUDA
import Glibc

/// The functions of the libraries that were found, as tables of C function pointers.
package final class CUDALibraries: @unchecked Sendable {
  let driver: fg_driver
  /// Nil where the library is missing; ``compilerOrRefusal()`` and its like say so.
  private let compiler: fg_compiler?
  private let matmul: fg_matmul?
  /// Nil where the library is missing; its selections are released by versions from 0.8 on.
  let sparse: fg_sparse?
  let sparseSelection: fg_sparse_selection?
  /// Nil where the driver is older than CUDA 12.0.
  let tensorMaps: fg_tensor_maps?
  let management: fg_management?
  let energy: fg_energy?
  /// Empty when the functions did not come from files.
  package let found: [CUDALibrary]

  /// What this machine has.
  /// - Throws: a `Refusal` of kind `missing` when there is no driver.
  package static func open(
    environment: [String: String] = CUDALibraries.environment
  ) throws -> CUDALibraries {
    let found = search(environment: environment)
    return try CUDALibraries(found: found) { role, name in
      found.first { $0.role == role }.flatMap { $0.symbol(name) }
    }
  }

  package static func search(environment: [String: String] = CUDALibraries.environment) -> [CUDALibrary] {
    let folders = CUDAFolders.all(environment)
    return CUDALibrary.Role.allCases.map { CUDALibrary.open($0, folders: folders) }
  }

  /// The process's environment.
  package static var environment: [String: String] {
    ["CUDA_HOME", "CUDA_PATH", "PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX", "PATH", "XDG_CACHE_HOME", "HOME"].reduce(
      into: [:]
    ) { table, name in
      if let text = getenv(name) { table[name] = String(cString: text) }
    }
  }

  /// Functions from wherever `lookup` finds them: a file, or a test's own.
  package convenience init(lookup: (String) -> UnsafeMutableRawPointer?) throws {
    try self.init(found: []) { lookup($1) }
  }

  /// NVRTC alone, which needs neither driver nor GPU; nil where it is not installed.
  package static func compiler(environment: [String: String]) -> fg_compiler? {
    let library = CUDALibrary.open(.compiler, folders: CUDAFolders.all(environment))
    return table(fg_compiler.self, fg_compiler_name) { library.symbol($0) }
  }

  /// A table of functions by their names; nil when one is missing.
  private static func table<Table>(
    _ type: Table.Type, _ name: (Int32) -> UnsafePointer<CChar>?, _ lookup: (String) -> UnsafeMutableRawPointer?
  ) -> Table? {
    let pointers = UnsafeMutableRawPointer.allocate(
      byteCount: MemoryLayout<Table>.size, alignment: MemoryLayout<Table>.alignment)
    defer { pointers.deallocate() }
    for index in 0..<MemoryLayout<Table>.size / 8 {
      guard let name = name(Int32(index)), let symbol = lookup(String(cString: name)) else { return nil }
      pointers.storeBytes(of: symbol, toByteOffset: index * 8, as: UnsafeMutableRawPointer.self)
    }
    return pointers.load(as: Table.self)
  }

  private init(
    found: [CUDALibrary], lookup: (CUDALibrary.Role, String) -> UnsafeMutableRawPointer?
  ) throws {
    func table<Table>(_ role: CUDALibrary.Role, _ type: Table.Type, _ name: (Int32) -> UnsafePointer<CChar>?) -> Table?
    {
      CUDALibraries.table(type, name) { lookup(role, $0) }
    }
    guard let driver = table(.driver, fg_driver.self, fg_driver_name) else {
      let reason = found.first { $0.role == .driver }?.reason ?? "it lacks functions"
      throw Refusal.missing(
        "there is no CUDA device on this machine: libcuda.so.1, the NVIDIA driver, is "
          + "\(reason.isEmpty ? "too old" : reason); use --device cpu")
    }
    self.driver = driver
    self.found = found
    tensorMaps = table(.driver, fg_tensor_maps.self, fg_tensor_maps_name)
    compiler = table(.compiler, fg_compiler.self, fg_compiler_name)
    matmul = table(.matmul, fg_matmul.self, fg_matmul_name)
    sparse = table(.semiStructured, fg_sparse.self, fg_sparse_name)
    sparseSelection = table(.semiStructured, fg_sparse_selection.self, fg_sparse_selection_name)
    management = table(.management, fg_management.self, fg_management_name)
    energy = table(.management, fg_energy.self, fg_energy_name)
  }

  func compilerOrRefusal() throws -> fg_compiler {
    guard let compiler else {
      throw Refusal.missing(
        "NVRTC, which compiles the CUDA kernels, was not found; install the CUDA toolkit or the Python package "
          + "nvidia-cuda-nvrtc, or set CUDA_HOME ('filigree doctor' says where it was sought)")
    }
    return compiler
  }

  var hasMatmul: Bool { matmul != nil }

  func matmulOrRefusal() throws -> fg_matmul {
    guard let matmul else {
      throw Refusal.missing(
        "cuBLASLt, which multiplies with dense and batched matrices on the GPU, was not found; install the CUDA toolkit "
          + "or the Python package nvidia-cublas, or set CUDA_HOME ('filigree doctor' says where it was sought)")
    }
    return matmul
  }
}
