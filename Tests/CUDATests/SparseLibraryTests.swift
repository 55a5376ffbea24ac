import Arrays
import CCUDA
import FakeCUDA
import Foundation
import Testing

@testable import Devices
@testable import Structures

/// 2:4 by cuSPARSELt: measured beside the own kernel, kept where it is faster and agrees, and told of where it is not used.
@Suite struct SparseLibraryTests {
  private static let shape = Shape(outputs: 96, inputs: 64)
  private static let tokens = 130

  private func pattern(_ label: String, _ shape: Shape = shape, seed: UInt64 = 5) throws -> CompressedRows {
    try #require(
      try Catalog.member(label, of: shape, density: 1, seed: seed) as? any RowsStructure
    ).rows
  }

  /// A device that measures products of any size.
  private func device(_ precision: CUDAPrecision = .bf16, cache: URL? = nil, from: Int = 1) throws -> CUDADevice {
    try CUDADevice(fakeLibraries(), precision: precision, cache: cache, measuredFrom: from, trustsKernels: true)
  }

  /// y and dx, each added to what is there where `accumulate`.
  private func products(
    _ pattern: CompressedRows, on device: CUDADevice, scale: Float = 1, accumulate: Bool = false
  ) throws -> [[Float]] {
    let tokens = Self.tokens
    let values = try device.makeVector(normals(pattern.count, seed: 1, .bf16).map { scale * $0 })
    func activations(_ features: Int, _ seed: UInt64) throws -> Activations {
      try device.makeActivations(normals(tokens * features, seed: seed, .bf16), tokens: tokens, features: features)
    }
    let (x, dy) = (try activations(pattern.columns, 2), try activations(pattern.rows, 3))
    let (y, dx) = (try activations(pattern.rows, 6), try activations(pattern.columns, 7))
    try device.multiply(pattern, values, x, into: y, accumulate: accumulate)
    try device.multiplyTransposed(pattern, values, dy, into: dx, accumulate: accumulate)
    return [try device.rows(y), try device.rows(dx)]
  }

  /// The fake as it was, where cuSPARSELt is a hundred times as fast as kernels.
  private func begin() {
    fake_reset()
    fake_let_pass(100_000, 1000)
  }

  private func own() -> Int32 { [16, 32, 64, 128, 256].map { fake_launches("runs_tensor_\($0)") }.reduce(0, +) }
  private func library() -> Int32 { fake_launches("cusparseLtMatmul") }

  /// The products in Double, from the pattern's own arrays, and what an answer in bf16 may differ by: the sums are exact to a rounding,
  /// but that a kernel's sum of fp32 may err by gamma_n; then one rounding to bf16.
  private func expectProducts(
    _ got: [[Float]], _ pattern: CompressedRows, scale: Float = 1, accumulate: Bool = false, _ what: String
  ) {
    let tokens = Self.tokens, (rows, columns) = (pattern.rows, pattern.columns)
    let values = normals(pattern.count, seed: 1, .bf16).map { Double(scale * $0) }
    let x = normals(tokens * columns, seed: 2, .bf16).doubles, dy = normals(tokens * rows, seed: 3, .bf16).doubles
    var y = normals(tokens * rows, seed: 6, .bf16).doubles.map { accumulate ? $0 : 0 }
    var dx = normals(tokens * columns, seed: 7, .bf16).doubles.map { accumulate ? $0 : 0 }
    var (ySize, dxSize) = (y.map(abs), dx.map(abs))
    for row in 0..<rows {
      for k in Int(pattern.rowStart[row])..<Int(pattern.rowStart[row + 1]) {
        let column = Int(pattern.column[k])
        for t in 0..<tokens {
          y[t * rows + row] += values[k] * x[t * columns + column]
          ySize[t * rows + row] += abs(values[k] * x[t * columns + column])
          dx[t * columns + column] += values[k] * dy[t * rows + row]
          dxSize[t * columns + column] += abs(values[k] * dy[t * rows + row])
        }
      }
    }
    for (got, exact, size) in [(got[0], y, ySize), (got[1], dx, dxSize)] {
      let sum = Double(max(rows, columns) + 2) * 0x1p-24 * 1.01
      expectWithin(
        got, exact, zip(exact, size).map { abs($0) * 0x1p-8 + $1 * sum * (1 + 0x1p-8) }, "\(what): \(got.count)")
    }
  }

  @Test(
    "Faster and in agreement: forward and input gradient of 2:4t are the library's, measured once, and nothing leaks")
  func faster() throws {
    for version in [701, 801, 1000] {
      begin()
      fake_set_sparse_version(Int32(version))
      do {
        let pattern = try pattern("nm-2:4t"), device = try device()
        expectProducts(try products(pattern, on: device), pattern, "first")
        // Four runs of each product by the own kernel to measure it; then by the library alone.
        #expect(own() == 8)
        let measured = library()
        expectProducts(try products(pattern, on: device, accumulate: true), pattern, accumulate: true, "added")
        #expect(own() == 8 && library() == measured + 2)
        let sentence = try #require(try device.sparseLibrary())
        #expect(sentence.contains("measured beside mma.sp") && sentence.contains("0.\(version / 100).\(version % 100)"))
      }
      #expect(fake_live_allocations() == 0 && fake_live_objects() == 0 && fake_damaged_guards() == 0, "\(version)")
    }
  }

  @Test("Where only rows are 2:4 the library has the forward product alone; 1:4 has a zero beside each weight")
  func forwardOnly() throws {
    for label in ["nm-2:4", "nm-1:4"] {
      begin()
      let pattern = try pattern(label)
      expectProducts(try products(pattern, on: device()), pattern, label)
      #expect(own() == 4 && library() > 4 && fake_launches("rows_multiply") == 1, "\(label)")
    }
  }

  @Test("The library is not asked for V:N:M, in fp32, for small products, and before it is known here")
  func notAsked() throws {
    begin()
    for label in ["vnm-32:2:8", "nm-2:8", "csr"] { _ = try products(pattern(label), on: device()) }
    _ = try products(pattern("nm-2:4t"), on: device(.fp32))
    _ = try products(pattern("nm-2:4t"), on: device(from: 1 << 27))
    #expect(library() == 0)
    for (version, words) in [(602, "version number 602"), (1100, "version number 1100")] {
      begin()
      fake_set_sparse_version(Int32(version))
      let device = try device(), pattern = try pattern("nm-2:4t")
      expectProducts(try products(pattern, on: device), pattern, words)
      #expect(library() == 0 && own() == 2)
      #expect(try #require(try device.sparseLibrary()).contains(words))
    }
    #expect(try device(.fp32).sparseLibrary() == nil)
  }

  @Test("Without the library the own kernels compute, with the same bits as ever, and doctor says what is missing")
  func absent() throws {
    begin()
    let pattern = try pattern("nm-2:4t")
    let expected = try products(pattern, on: device(from: .max))
    fake_hide("cusparseLt")
    let device = try device()
    #expect(try products(pattern, on: device) == expected && library() == 0)
    let sentence = try #require(try device.sparseLibrary())
    #expect(sentence.contains("mma.sp alone") && sentence.contains("cuSPARSELt was not found"))
    #expect(try CUDADiagnosis.check(fakeLibraries(), cache: nil).contains(sentence))
    let missing = CUDALibrary.Role.semiStructured
    #expect(missing.withoutIt.contains("mma.sp") && missing.files.contains("libcusparseLt.so.0"))
  }

  @Test("Slower than the own kernel: the own kernel stays; either choice is remembered, and nothing is measured again")
  func remembered() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("filigree-sparse-\(UUID())")
    defer { try? FileManager.default.removeItem(at: folder) }
    begin()
    let pattern = try pattern("nm-2:4"), quick = folder.appendingPathComponent("quick")
    let expected = try products(pattern, on: device(from: .max))
    begin()
    fake_let_pass(1000, 100_000)
    #expect(try products(pattern, on: device(cache: folder)) == expected)
    #expect(own() == 5 && library() == 12)
    begin()
    #expect(try products(pattern, on: device(cache: folder)) == expected && own() == 1 && library() == 0)
    begin()
    expectProducts(try products(pattern, on: device(cache: quick)), pattern, "measured")
    #expect(own() == 4)
    begin()
    expectProducts(try products(pattern, on: device(cache: quick)), pattern, "remembered")
    #expect(own() == 0 && library() == 1)
    // Another version chooses for itself, and an algorithm that there is not is no algorithm.
    let files = try FileManager.default.contentsOfDirectory(at: quick, includingPropertiesForKeys: nil)
    let file = try #require(files.first { $0.lastPathComponent.contains("cuSPARSELt_801") })
    try "96x192x64\t2 99 0 0 0 0 0 0\n".write(to: file, atomically: true, encoding: .utf8)
    begin()
    let damaged = try device(cache: quick)
    #expect(try products(pattern, on: damaged) == expected && library() == 0)
    #expect(try #require(try damaged.sparseLibrary()).contains("refuses 96x192x64 at an algorithm"))
  }

  @Test("The fastest algorithm computes something else: the next that agrees is kept, and the sentence says so")
  func wrong() throws {
    begin()
    fake_falsify_sparse(1)
    let pattern = try pattern("nm-2:4"), device = try device()
    expectProducts(try products(pattern, on: device), pattern, "beside a wrong one")
    #expect(
      try #require(try device.sparseLibrary()).contains("algorithm 1 gave other numbers than mma.sp for 96x192x64"))
    let before = library()
    expectProducts(try products(pattern, on: device), pattern, "again")
    #expect(own() == 4 && library() == before + 1)
  }

  @Test(
    "A call that fails while the choice is made leaves the own kernel, and later ones end the product with a sentence")
  func faults() throws {
    begin()
    let pattern = try pattern("nm-2:4")
    let expected = try products(pattern, on: device(from: .max))
    for (name, words) in [
      ("cusparseLtInit", "its start answered status 7"), ("cusparseLtGetVersion", "its version answered status 7"),
      ("cusparseLtStructuredDescriptorInit", "the description of W"),
      ("cusparseLtDenseDescriptorInit", "the description of x"), ("cusparseLtMatmulDescriptorInit", "the description"),
      ("cusparseLtMatmulAlgSelectionInit", "the selection"), ("cusparseLtMatmulAlgGetAttribute", "the number of"),
      ("cusparseLtMatmulAlgSetAttribute", "an algorithm"), ("cusparseLtMatmulPlanInit", "the plan"),
      ("cusparseLtMatmulGetWorkspace", "its workspace"), ("cusparseLtSpMMACompressedSize2", "the size"),
      ("cusparseLtSpMMACompress2", "compressing W"),
    ] {
      begin()
      do {
        let device = try device()
        fake_fail(name, 1, 7)
        #expect(try products(pattern, on: device) == expected, "\(name)")
        #expect(library() == 0 && own() == 1, "\(name)")
        // A start that failed is tried again, and says so only when it fails again.
        fake_fail(name, 1, 7)
        let sentence = try #require(try device.sparseLibrary())
        #expect(sentence.contains(words) && sentence.contains("status 7"), "\(name): \(sentence)")
        fake_fail(name, .max, 0)
      }
      #expect(fake_live_allocations() == 0 && fake_live_objects() == 0 && fake_damaged_guards() == 0, "\(name)")
    }
    begin()
    do {
      let device = try device()
      expectProducts(try products(pattern, on: device), pattern, "chosen")
      fake_fail("cusparseLtMatmul", 1, 6)
      let failed = #expect(throws: Refusal.self) { try products(pattern, on: device) }
      #expect(try #require(failed).sentence.contains("cuSPARSELt on cuda:0 failed at a product"))
    }
    #expect(fake_live_allocations() == 0 && fake_live_objects() == 0)
  }

  @Test("Too little memory to measure leaves the own kernel; a lost GPU ends the product")
  func memory() throws {
    begin()
    let shape = Shape(outputs: 2048, inputs: 64), pattern = try pattern("nm-2:4", shape)
    func forward(_ device: CUDADevice) throws -> [Float] {
      let values = try device.makeVector(normals(pattern.count, seed: 1, .bf16))
      let x = try device.makeActivations(normals(64 * 64, seed: 2, .bf16), tokens: 64, features: 64)
      let y = try device.makeActivations(tokens: 64, features: 2048)
      try device.multiply(pattern, values, x, into: y, accumulate: false)
      return try device.rows(y)
    }
    let expected = try forward(device(from: .max))
    var outcomes: [String: Int] = [:]
    for kibibytes in stride(from: 1024, through: 3584, by: 64) {
      begin()
      fake_set_memory(kibibytes << 10)
      do {
        let device = try device()
        let got = try forward(device), sentence = try #require(try device.sparseLibrary())
        let isMeasured = !sentence.contains("was not measured")
        outcomes[isMeasured ? "measured" : "not measured", default: 0] += 1
        // Here both sum 32 products of bf16 without an error that a bf16 would show.
        #expect(got == expected, "\(kibibytes) KiB: \(sentence)")
        #expect(isMeasured || sentence.contains("bytes of memory cannot be had"), "\(sentence)")
      } catch let refusal as Refusal {
        outcomes["refused", default: 0] += 1
        #expect(refusal.sentence.contains("memory"), "\(refusal.sentence)")
      }
      #expect(fake_live_allocations() == 0 && fake_live_objects() == 0 && fake_damaged_guards() == 0)
    }
    #expect(Set(outcomes.keys) == ["measured", "not measured", "refused"], "\(outcomes)")
    begin()
    fake_fail("cusparseLtMatmul", 1, 719)
    let lost = try device()
    _ = try forward(lost)
    fake_lose_device(719)
    #expect(throws: Refusal.self) { try forward(lost) }
  }

  @Test("W is compressed again when its values or its pattern have changed, and only then")
  func packing() throws {
    begin()
    let device = try device(), first = try pattern("nm-2:4"), second = try pattern("nm-2:4", seed: 8)
    let values = try device.makeVector([Float](repeating: 1, count: first.count))
    let x = try device.makeActivations((0..<64).map { Float($0) }, tokens: 1, features: 64)
    let y = try device.makeActivations(tokens: 1, features: 96)
    func product(_ pattern: CompressedRows, _ scale: Float) throws -> Bool {
      try device.multiply(pattern, values, x, into: y, accumulate: false)
      // Whole numbers below 2048 that bf16 rounds to a multiple of 8 at most.
      return try device.rows(y)
        == (0..<96).map { row in
          CUDAPrecision.bf16.rounded(
            scale
              * (pattern.rowStart[row]..<pattern.rowStart[row + 1]).reduce(0) { $0 + Float(pattern.column[Int($1)]) })
        }
    }
    #expect(try product(first, 1) && product(first, 1) && fake_launches("narrow_runs") == 1)
    #expect(try product(second, 1) && product(second, 1) && fake_launches("narrow_runs") == 2)
    try [Float](repeating: 0.5, count: first.count).withUnsafeBufferPointer { try device.write($0, to: values) }
    #expect(try product(second, 0.5) && fake_launches("narrow_runs") == 3)
  }
}
