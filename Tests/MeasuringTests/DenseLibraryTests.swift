import Arrays
import Devices
import Glibc
import Testing

@testable import Measuring

@Suite("Dense libraries", .serialized)
struct DenseLibraryTests {
  static let hasLibrary = !DenseLibrary.found().isEmpty
  static let absent = DenseFamily.allCases.filter { family in
    !DenseLibrary.found().contains { $0.family == family }
  }
  static let absence: Comment = "no OpenBLAS, BLIS or MKL on this machine"

  /// Row-major random matrices within zones of a not-a-number, and what a product of them must be.
  private struct Case {
    var m: Int
    var n: Int
    var k: Int
    var transposeA = false
    var transposeB = false
    var alpha: Float = 1
    var beta: Float = 0
    /// Elements between the end of a row and the next.
    var padding = 0
  }

  private static func random(_ count: Int, _ name: String) -> [Float] {
    var generator = SeededGenerator(seed: 7, name)
    return (0..<count).map { _ in Float(generator.normal()) }
  }

  /// Worst error / bound over C, the product by a triple loop in Double; infinite when anything outside C's rows has
  /// changed.
  ///
  /// An inner product of length k in Float, in any order, scaled by alpha and added to beta c, errs by at most
  /// gamma_(k+3) (|alpha| sum |a||b| + |beta||c|).
  private static func errorFraction(_ library: DenseLibrary, _ test: Case) -> Double {
    let lda = max(1, test.transposeA ? test.m : test.k) + test.padding
    let ldb = max(1, test.transposeB ? test.k : test.n) + test.padding
    let ldc = max(1, test.n) + test.padding
    let a = random((test.transposeA ? test.k : test.m) * lda, "a")
    let b = random((test.transposeB ? test.n : test.k) * ldb, "b")
    let before: [Float] =
      test.beta == 0 ? [Float](repeating: .nan, count: test.m * ldc) : random(test.m * ldc, "c")
    let guardCount = 32
    let guardValue: Float = -12345
    var c =
      [Float](repeating: guardValue, count: guardCount) + before + [Float](repeating: guardValue, count: guardCount)
    c.withUnsafeMutableBufferPointer { buffer in
      library.multiply(
        transposeA: test.transposeA, transposeB: test.transposeB, m: test.m, n: test.n, k: test.k, alpha: test.alpha,
        a: a, lda: lda, b: b, ldb: ldb, beta: test.beta, c: buffer.baseAddress! + guardCount, ldc: ldc)
    }

    if (c.prefix(guardCount) + c.suffix(guardCount)).contains(where: { $0 != guardValue }) { return .infinity }
    let unit = 0x1p-24
    let gamma = Double(test.k + 3) * unit / (1 - Double(test.k + 3) * unit)
    var worst = 0.0
    for row in 0..<test.m {
      for column in 0..<ldc {
        let result = c[guardCount + row * ldc + column]
        let old = before[row * ldc + column]
        if column >= test.n {
          if result.bitPattern != old.bitPattern { return .infinity }
          continue
        }
        var sum = test.beta == 0 ? 0 : Double(test.beta) * Double(old)
        var size = abs(sum)
        for term in 0..<test.k {
          let left = Double(test.transposeA ? a[term * lda + row] : a[row * lda + term])
          let right = Double(test.transposeB ? b[column * ldb + term] : b[term * ldb + column])
          sum += Double(test.alpha) * left * right
          size += abs(Double(test.alpha) * left * right)
        }
        let error = abs(Double(result) - sum)
        // A sum without terms must be exact; the comparison is also false for a not-a-number.
        if !(error <= gamma * size) { return .infinity }
        if size > 0 { worst = max(worst, error / (gamma * size)) }
      }
    }
    return worst
  }

  @Test(
    "every library's product is the triple loop's within the rounding bound, and writes nothing else",
    .enabled(if: hasLibrary, absence), arguments: [1, 2])
  func products(threads: Int) {
    for library in DenseLibrary.found() {
      library.setThreads(threads)
      for transposeA in [false, true] {
        for transposeB in [false, true] {
          for (m, n, k) in [(1, 1, 1), (5, 7, 3), (33, 17, 129), (1, 64, 40), (64, 1, 40), (70, 65, 64)] {
            let test = Case(m: m, n: n, k: k, transposeA: transposeA, transposeB: transposeB)
            #expect(DenseLibraryTests.errorFraction(library, test) <= 1, "\(library.description) \(test)")
          }
        }
      }
      library.setThreads(1)
    }
  }

  @Test("factors, former contents and gaps between rows are honoured", .enabled(if: hasLibrary, absence))
  func scaling() {
    for library in DenseLibrary.found() {
      for (alpha, beta) in [(1, 1), (-0.5, 2), (2, 0), (0, 3)] as [(Float, Float)] {
        for transpose in [false, true] {
          let test = Case(
            m: 19, n: 23, k: 31, transposeA: transpose, transposeB: !transpose, alpha: alpha, beta: beta, padding: 5)
          #expect(DenseLibraryTests.errorFraction(library, test) <= 1, "\(library.description) \(test)")
        }
      }
    }
  }

  @Test("a product without terms is zero, one without elements touches nothing", .enabled(if: hasLibrary, absence))
  func emptyProducts() {
    for library in DenseLibrary.found() {
      for (m, n, k) in [(4, 5, 0), (0, 5, 6), (4, 0, 6), (0, 0, 0)] {
        let test = Case(m: m, n: n, k: k, padding: 2)
        #expect(DenseLibraryTests.errorFraction(library, test) <= 1, "\(library.description) \(test)")
      }
    }
  }

  /// Small integers, whose products and sums are exact in Float in any order.
  private static func integers(_ count: Int, _ name: String) -> [Float] {
    var generator = SeededGenerator(seed: 11, name)
    return (0..<count).map { _ in Float(generator.index(below: 17) - 8) }
  }

  @Test(
    "the three products of a layer are exact on small integers and overwrite their result",
    .enabled(if: hasLibrary, absence),
    arguments: [(9, 6, 14), (1, 32, 48), (16, 5, 3), (1, 1, 1), (0, 3, 4), (3, 0, 4)])
  func layer(tokens: Int, inputs: Int, outputs: Int) {
    let x = DenseLibraryTests.integers(tokens * inputs, "x")
    let w = DenseLibraryTests.integers(outputs * inputs, "w")
    let dy = DenseLibraryTests.integers(tokens * outputs, "dy")
    var y = [Float](repeating: 0, count: tokens * outputs)
    var dx = [Float](repeating: 0, count: tokens * inputs)
    var dw = [Float](repeating: 0, count: outputs * inputs)
    for t in 0..<tokens {
      for o in 0..<outputs {
        for i in 0..<inputs {
          y[t * outputs + o] += x[t * inputs + i] * w[o * inputs + i]
          dx[t * inputs + i] += dy[t * outputs + o] * w[o * inputs + i]
          dw[o * inputs + i] += dy[t * outputs + o] * x[t * inputs + i]
        }
      }
    }
    for library in DenseLibrary.found() {
      for (product, left, right, expected) in [
        (DenseProduct.forward, x, w, y), (.inputGradient, dy, w, dx), (.weightGradient, dy, x, dw),
      ] {
        // One element more, so that an empty result has an address too.
        var result = [Float](repeating: .nan, count: expected.count + 1)
        product.run(
          library, tokens: tokens, inputs: inputs, outputs: outputs, left: left, right: right, result: &result)
        #expect(result.dropLast() == expected[...], "\(library.description) \(product)")
        #expect(result[expected.count].isNaN)
      }
    }
  }

  @Test("the three products are named as records name their passes, and cost alike")
  func names() {
    #expect(DenseProduct.allCases.map(\.rawValue) == ["forward", "inputGradient", "weightGradient"])
    #expect(DenseProduct.flops(tokens: 3, inputs: 5, outputs: 7) == 210)
  }

  @Test(
    "libraries found have distinct names, a version and an existing file, and are found again by name",
    .enabled(if: hasLibrary, absence))
  func found() throws {
    let libraries = DenseLibrary.found()
    #expect(Set(libraries.map(\.name)).count == libraries.count)
    for library in libraries {
      #expect(library.version.first?.isNumber == true, "\(library.version)")
      #expect(library.description.hasPrefix(library.name + " " + library.version))
      // Kernels of the SSE age on a processor that has more would make every speed-up a lie.
      if let kernels = library.kernels {
        #expect(KernelChoice.better(than: kernels, instructionSets: CPUDevice.available) == nil, "\(kernels)")
      }
      #expect(SystemFile.text(library.path, limit: 4)?.dropFirst() == "ELF")
      let twice = try DenseLibrary.named([library.name, library.name])
      #expect(twice.map(\.path) == [library.path])
    }
    let reversed = try DenseLibrary.named(libraries.map(\.name).reversed())
    #expect(reversed.map(\.name) == libraries.map(\.name).reversed())
  }

  @Test(
    "kernels are chosen anew only where a library chose some without the processor's AVX2 or AVX-512",
    arguments: [
      ("Prescott", ["avx512", "avx2", "scalar"], "SkylakeX"), ("Nehalem", ["avx2", "scalar"], "Haswell"),
      ("Prescott", ["scalar"], nil), ("Haswell", ["avx512", "avx2"], nil), ("Zen", ["avx2"], nil),
      ("Cooperlake", ["avx512"], nil), ("NEOVERSEN1", ["neon"], nil),
    ] as [(String, [String], String?)])
  func kernelChoice(core: String, instructionSets: [String], better: String?) {
    #expect(KernelChoice.better(than: core, instructionSets: instructionSets) == better)
  }

  @Test("no two libraries found share their product's code", .enabled(if: hasLibrary, absence))
  func distinctFiles() {
    let libraries = DenseLibrary.found()
    #expect(Set(libraries.map(\.path)).count == libraries.count)
  }

  @Test(
    "an unknown name is bad input and names those that are known", arguments: ["atlas", "", "OpenBLAS", "libblas.so.3"])
  func unknownName(name: String) throws {
    let refusal = try #require(throws: Refusal.self) { try DenseLibrary.named([name]) }
    #expect(refusal.kind == .badInput)
    for family in DenseFamily.allCases { #expect(refusal.sentence.contains(family.rawValue)) }
  }

  @Test(
    "a known library that is not there is missing, and its refusal says how to install it",
    .enabled(if: !absent.isEmpty, "every library is on this machine"),
    arguments: absent)
  func missing(family: DenseFamily) throws {
    let refusal = try #require(throws: Refusal.self) { try DenseLibrary.named([family.rawValue]) }
    #expect(refusal.kind == .missing)
    #expect(refusal.sentence.contains(family.installation))
  }

  @Test("a file that is no library is passed over, and the refusal of a family without one names it")
  func notALibrary() throws {
    let tree = try TemporaryTree(["libmkl_rt.so.3": "not a library", "libopenblas.so.0": ""])
    for (family, file) in [(DenseFamily.mkl, "libmkl_rt.so.3"), (.openblas, "libopenblas.so.0")] {
      let search = DenseSearch(family, environment: ["LD_LIBRARY_PATH": tree.root])
      #expect(search.rejected.first?.contains(tree.root + "/" + file) == true)
      #expect(search.refusal.sentence.contains(tree.root + "/" + file))
      #expect(search.library?.path.hasPrefix(tree.root) != true)
    }
  }

  @Test("another BLAS under a family's file name is refused", .enabled(if: hasLibrary, absence))
  func impostor() throws {
    let library = try #require(DenseLibrary.found().first)
    let opened = try #require(OpenedLibrary(library.path))
    for family in DenseFamily.allCases where family != library.family {
      #expect(throws: DenseSymbols.Unusable.self) { try DenseSymbols(family, library: opened) }
    }
  }

  @Test("spinning is shortened where the environment does not say otherwise")
  func spinning() async {
    await #expect(processExitsWith: .success) {
      setenv("KMP_BLOCKTIME", "7", 1)
      unsetenv("OPENBLAS_THREAD_TIMEOUT")
      DenseLibrary.shortenSpinning()
      let given = getenv("KMP_BLOCKTIME").map { String(cString: $0) }
      let added = getenv("OPENBLAS_THREAD_TIMEOUT").map { String(cString: $0) }
      #expect(given == "7")
      #expect(added != nil && added == DenseLibrary.spinning["OPENBLAS_THREAD_TIMEOUT"])
    }
  }

  @Test("folders are searched in order: the loader's path, the environments', the pthread flavour, bare names")
  func candidates() throws {
    let environment = [
      "LD_LIBRARY_PATH": "/one::relative:/two", "VIRTUAL_ENV": "/env", "CONDA_PREFIX": "", "MKLROOT": "/mkl",
    ]
    for family in DenseFamily.allCases {
      let paths = family.candidates(environment: environment)
      #expect(paths.allSatisfy { $0.hasPrefix("/") || !$0.contains("/") })
      func first(_ prefix: String) throws -> Int { try #require(paths.firstIndex { $0.hasPrefix(prefix) }) }
      #expect(try first("/one/") < first("/two/"))
      #expect(try first("/two/") < first("/env/lib/"))
      #expect(try first("/env/lib/") < first("lib"))
      if family == .mkl {
        #expect(try first("/mkl/lib/") < first("lib"))
      } else {
        #expect(try #require(paths.firstIndex { $0.contains("-pthread/") }) < first("lib"))
      }
    }
    #expect(DenseFamily.blis.candidates(environment: [:]).allSatisfy { !$0.hasPrefix("/lib") })
  }

  @Test(
    "versions are read out of what each library says of itself",
    arguments: [
      ("OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY Zen MAX_THREADS=64", "0.3.21"), ("0.9.0", "0.9.0"),
      ("AOCL-BLIS 5.0.0 Build 20240924", "5.0.0"), ("0.9.0-56", "0.9.0"),
      ("Intel(R) oneAPI Math Kernel Library Version 2024.1-Product Build 20240215 for Intel(R) 64", "2024.1"),
      ("", "unknown"), ("no number", "unknown"),
    ])
  func versions(text: String, version: String) {
    #expect(DenseFamily.version(in: text) == version)
  }
}
