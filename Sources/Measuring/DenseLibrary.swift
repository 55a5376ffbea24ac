import Arrays
import Foundation

/// A dense single-precision matrix product from a BLAS opened at run time: the baseline of every speed-up.
///
/// At most one library of each family is opened, and none is ever closed, since its threads live on. Each resolves its
/// own symbols in itself first, so that several in one process do not call into one another.
package final class DenseLibrary: Sendable {
  package let family: DenseFamily
  /// "0.3.21"; "unknown" when the library does not say.
  package let version: String
  /// The file, symbolic links followed, so that the flavour shows.
  package let path: String
  /// Which of its kernels the library runs, "SkylakeX"; nil when it does not say.
  package let kernels: String?

  private let symbols: DenseSymbols

  /// "openblas", "blis" or "mkl".
  package var name: String { family.rawValue }

  /// "openblas 0.3.21 (SkylakeX)", "blis 0.9.0".
  package var description: String { "\(name) \(version)" + (kernels.map { " (\($0))" } ?? "") }

  init(family: DenseFamily, version: String, path: String, kernels: String?, symbols: DenseSymbols) {
    self.family = family
    self.version = version
    self.path = path
    self.kernels = kernels
    self.symbols = symbols
  }

  /// All that this machine has.
  package static func found() -> [DenseLibrary] { DenseFamily.allCases.compactMap { search($0).library } }

  /// The libraries of these names, in this order, each once; only these are opened.
  ///
  /// An unknown name is bad input; a known one without a usable library is missing.
  package static func named(_ names: [String]) throws -> [DenseLibrary] {
    let families = try names.map { name in
      guard let family = DenseFamily(rawValue: name) else {
        let known = DenseFamily.allCases.map(\.rawValue).joined(separator: ", ")
        throw Refusal.badInput("there is no dense library called '\(SystemFile.printable(name))': choose from \(known)")
      }
      return family
    }
    var libraries: [DenseLibrary] = []
    for family in families where !libraries.contains(where: { $0.family == family }) {
      let search = search(family)
      guard let library = search.library else { throw search.refusal }
      libraries.append(library)
    }
    return libraries
  }

  private static func search(_ family: DenseFamily) -> DenseSearch {
    switch family {
    case .openblas: openblas
    case .blis: blis
    case .mkl: mkl
    }
  }

  private static let openblas = DenseSearch(.openblas, environment: ProcessInfo.processInfo.environment)
  private static let blis = DenseSearch(.blis, environment: ProcessInfo.processInfo.environment)
  private static let mkl = DenseSearch(.mkl, environment: ProcessInfo.processInfo.environment)

  /// Makes workers sleep within about a millisecond of a product, unless the environment already says when.
  ///
  /// With more than one thread OpenBLAS's workers otherwise spin for some 90 milliseconds of a core's time after each
  /// product and MKL's for 150, which slows whatever is timed next; BLIS's end with the product, and with one thread
  /// nothing spins. The libraries read these variables when they are opened: to be called at the start of a program,
  /// before it has threads or opens a library.
  package static func shortenSpinning() {
    for (variable, value) in spinning { setenv(variable, value, 0) }
  }

  /// Powers of two of clock cycles for OpenBLAS, milliseconds for MKL's OpenMP.
  static let spinning = ["OPENBLAS_THREAD_TIMEOUT": "20", "KMP_BLOCKTIME": "1"]

  /// The threads that later products may use, at least 1. A setting of the library, not of this object; to be called
  /// on the thread that will multiply, since some versions keep it per thread.
  package func setThreads(_ threads: Int) { symbols.setThreads(min(max(threads, 1), 4096)) }

  /// C <- alpha op(A) op(B) + beta C, row-major; op(A) [m, k], op(B) [k, n], C [m, n]; op transposes where asked.
  ///
  /// - Leading dimensions are those of A, B and C as stored, in elements.
  /// - `beta` = 0 overwrites C whatever it held, not-a-numbers too.
  /// - Sizes that are negative or above 2^31 - 1, and leading dimensions below a row, are a programmer's error.
  package func multiply(
    transposeA: Bool = false, transposeB: Bool = false, m: Int, n: Int, k: Int, alpha: Float = 1,
    a: UnsafePointer<Float>, lda: Int, b: UnsafePointer<Float>, ldb: Int, beta: Float = 0,
    c: UnsafeMutablePointer<Float>, ldc: Int
  ) {
    precondition(m >= 0 && n >= 0 && k >= 0, "sizes of a product are not negative")
    precondition(lda >= max(1, transposeA ? m : k), "lda is below a row of A")
    precondition(ldb >= max(1, transposeB ? k : n), "ldb is below a row of B")
    precondition(ldc >= max(1, n), "ldc is below a row of C")
    let rowMajor: Int32 = 101
    let plain: Int32 = 111
    let transposed: Int32 = 112
    symbols.sgemm(
      rowMajor, transposeA ? transposed : plain, transposeB ? transposed : plain, Int32(m), Int32(n), Int32(k), alpha,
      a, Int32(lda), b, Int32(ldb), beta, c, Int32(ldc))
  }
}
