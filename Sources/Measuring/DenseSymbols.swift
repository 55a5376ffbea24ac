import Glibc

/// The functions of an opened BLAS, under their C signatures with 32-bit integers.
struct DenseSymbols: Sendable {
  /// order, op(A), op(B), m, n, k, alpha, A, lda, B, ldb, beta, C, ldc
  typealias Sgemm =
    @convention(c) (
      Int32, Int32, Int32, Int32, Int32, Int32, Float, UnsafePointer<Float>, Int32, UnsafePointer<Float>, Int32, Float,
      UnsafeMutablePointer<Float>, Int32
    ) -> Void

  let sgemm: Sgemm
  let setThreads: @Sendable (Int) -> Void
  /// What the library says of itself, its version among it.
  let banner: String
  /// The file that `cblas_sgemm` is in.
  let path: String

  /// Why an opened file is not used.
  struct Unusable: Error {
    let reason: String
  }

  /// Looks the functions up and makes sure that integers have 32 bits.
  init(_ family: DenseFamily, library: OpenedLibrary) throws(Unusable) {
    guard let sgemm = library.symbol("cblas_sgemm"), let setter = library.symbol(family.threadSetter) else {
      throw Unusable(reason: "lacks cblas_sgemm or \(family.threadSetter)")
    }
    if family == .mkl { DenseSymbols.settleMKL(library, beside: sgemm) }
    guard let banner = DenseSymbols.banner(family, library) else {
      throw Unusable(reason: "does not say which version it is")
    }
    if DenseSymbols.hasWideIntegers(family, library, banner: banner) {
      throw Unusable(reason: "has 64-bit integers, where the 32-bit build is needed")
    }

    self.sgemm = unsafeBitCast(sgemm, to: Sgemm.self)
    self.banner = banner
    path = OpenedLibrary.file(of: sgemm) ?? library.path
    if family == .blis {
      let set = unsafeBitCast(setter, to: (@convention(c) (Int) -> Void).self)
      setThreads = { set($0) }
    } else {
      let set = unsafeBitCast(setter, to: (@convention(c) (Int32) -> Void).self)
      setThreads = { set(Int32($0)) }
    }
  }

  private static func banner(_ family: DenseFamily, _ library: OpenedLibrary) -> String? {
    switch family {
    case .openblas: library.call("openblas_get_config")
    case .blis: library.call("bli_info_get_version_str")
    case .mkl:
      library.symbol("MKL_Get_Version_String").map { symbol in
        let write = unsafeBitCast(symbol, to: (@convention(c) (UnsafeMutablePointer<CChar>, Int32) -> Void).self)
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { text in
          text.initialize(repeating: 0)
          text.baseAddress.map { write($0, 511) }
          return SystemFile.printable(
            String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
        }
      }
    }
  }

  private static func hasWideIntegers(_ family: DenseFamily, _ library: OpenedLibrary, banner: String) -> Bool {
    switch family {
    case .openblas: return banner.contains("USE64BITINT")
    case .blis:
      guard let symbol = library.symbol("bli_info_get_blas_int_type_size") else { return false }
      return unsafeBitCast(symbol, to: (@convention(c) () -> Int).self)() == 64
    case .mkl: return false
    }
  }

  /// Makes MKL take 32-bit integers whatever the environment says, and threads by a run-time library that is there:
  /// MKL ends the process when its own choice is not. Sequential when there is none.
  private static func settleMKL(_ library: OpenedLibrary, beside symbol: UnsafeMutableRawPointer) {
    func set(_ name: String, _ layer: Int32) {
      guard let symbol = library.symbol(name) else { return }
      _ = unsafeBitCast(symbol, to: (@convention(c) (Int32) -> Int32).self)(layer)
    }
    let narrowIntegers: Int32 = 0
    let intelThreads: Int32 = 0
    let noThreads: Int32 = 1
    set("MKL_Set_Interface_Layer", narrowIntegers)
    guard getenv("MKL_THREADING_LAYER") == nil else { return }
    // Opened by its full path first: MKL later asks for it by its bare name, and the loader then knows it.
    let folder = OpenedLibrary.file(of: symbol).map { $0.split(separator: "/").dropLast().joined(separator: "/") }
    let beside = folder.flatMap { OpenedLibrary("/\($0)/libiomp5.so", shared: true) }
    let threaded = beside ?? OpenedLibrary("libiomp5.so", shared: true)
    set("MKL_Set_Threading_Layer", threaded == nil ? noThreads : intelThreads)
  }
}
