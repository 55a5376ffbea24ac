/// The BLAS libraries whose `sgemm` counts as a dense baseline.
///
/// Reference BLAS is not one of them: beating a triple loop says nothing. Nor is whatever `libblas.so.3` leads to,
/// which would be one of these under a name that hides which.
package enum DenseFamily: String, CaseIterable, Sendable {
  case openblas, blis, mkl

  /// The files to open, in this order: LD_LIBRARY_PATH's folders, the folders of a Python environment and of MKL's own
  /// variable, the distribution's folder with the pthread flavour, then the bare names, which the loader looks up.
  ///
  /// The pthread flavour comes first because the OpenMP one leaves its workers spinning after each product, where they
  /// compete with the candidate that is timed next; see ``DenseLibrary/shortenSpinning()`` for those that remain.
  ///
  /// Empty and relative folders, which mean the working directory, are left out.
  func candidates(environment: [String: String]) -> [String] {
    var folders = (environment["LD_LIBRARY_PATH"] ?? "").split(separator: ":").map { String($0) }
    for variable in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
      if let root = environment[variable], !root.isEmpty { folders.append(root + "/lib") }
    }
    var last: [String] = []
    switch self {
    case .openblas: folders.append(DenseFamily.multiarch + "/openblas-pthread")
    case .blis: folders.append(DenseFamily.multiarch + "/blis-pthread")
    case .mkl:
      let root = environment["MKLROOT"] ?? ""
      if !root.isEmpty { folders += [root + "/lib", root + "/lib/intel64"] }
      last = ["/opt/intel/oneapi/mkl/latest/lib", "/opt/intel/oneapi/mkl/latest/lib/intel64"]
    }
    func paths(_ folders: [String]) -> [String] {
      folders.filter { $0.hasPrefix("/") }.flatMap { folder in fileNames.map { folder + "/" + $0 } }
    }
    return paths(folders) + fileNames + paths(last)
  }

  /// Where 64-bit integer builds have names of their own, those are left out.
  private var fileNames: [String] {
    switch self {
    case .openblas: ["libopenblasp.so.0", "libopenblas.so.0", "libopenblasp.so", "libopenblas.so"]
    case .blis: ["libblis.so.4", "libblis.so.3", "libblis-mt.so", "libblis.so"]
    case .mkl: ["libmkl_rt.so.3", "libmkl_rt.so.2", "libmkl_rt.so.1", "libmkl_rt.so"]
    }
  }

  #if arch(x86_64)
    private static let multiarch = "/usr/lib/x86_64-linux-gnu"
  #elseif arch(arm64)
    private static let multiarch = "/usr/lib/aarch64-linux-gnu"
  #else
    private static let multiarch = "/usr/lib"
  #endif

  /// What to do to have it.
  package var installation: String {
    switch self {
    case .openblas: "install libopenblas0-pthread (Debian, Ubuntu) or openblas-threads (Fedora)"
    case .blis: "install libblis4-pthread (Debian, Ubuntu) or blis-threads (Fedora)"
    case .mkl: "install mkl with pip and name its lib folder in LD_LIBRARY_PATH, or set MKLROOT"
    }
  }

  /// The C function that sets the number of threads.
  var threadSetter: String {
    switch self {
    case .openblas: "openblas_set_num_threads"
    case .blis: "bli_thread_set_num_threads"
    case .mkl: "MKL_Set_Num_Threads"
    }
  }

  /// The version number within what the library says of itself: "0.3.21" of "OpenBLAS 0.3.21 NO_LAPACKE ...",
  /// "2026.2" of "Intel(R) oneAPI Math Kernel Library Version 2026.2-Product Build ...", "5.0.0" of "AOCL-BLIS 5.0.0
  /// Build ...". The first word that begins with a digit, as far as digits and dots go; "unknown" without one.
  static func version(in text: String) -> String {
    for word in text.split(whereSeparator: { $0.isWhitespace || $0 == "-" || $0 == "," }) {
      let number = word.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
      if number.first?.isNumber == true { return String(number.prefix(32)) }
    }
    return "unknown"
  }
}
