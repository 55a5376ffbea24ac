import Arrays
import FakeCUDA
import Testing

@testable import Devices
@testable import Structures

/// What of the catalog a device cannot compute, named from what each structure asks of it.
@Suite struct UnsupportedTests {
  @Test("A device with all its libraries lacks nothing, nor does the processor; and every family is asked")
  func nothing() throws {
    fake_reset()
    for precision in CUDAPrecision.allCases { #expect(try Catalog.unsupported(on: fakeDevice(precision)).isEmpty) }
    #expect(try Catalog.unsupported(on: CPUDevice(threads: 1)).isEmpty)
    for type in Catalog.all {
      let shape = Shape(outputs: 64, inputs: 64)
      #expect(
        [0.25, 0.5, 1].contains { !type.members(of: shape, density: $0, seed: 1).isEmpty }, "\(type.card.family)")
    }
  }

  @Test("Without cuBLASLt each family that multiplies blocks on a diagonal is named, whatever else it is made of")
  func withoutMatmul() throws {
    fake_reset()
    fake_hide("cublasLt")
    let device = try fakeDevice(.bf16), lacking = try Catalog.unsupported(on: device)
    #expect(
      Set(lacking.map(\.family)) == [
        "dense", "masked", "blockdiagonal", "dyad", "monarch", "pixelfly", "lowrank", "blockdense", "btt",
        "lowrank+bsr", "lowrank+csr", "circulant", "blr",
      ])
    #expect(lacking.allSatisfy { $0.reason.contains("cuBLASLt") })
    let members = try ["csr", "circulant-4", "lowrank+csr"].map {
      try Catalog.member($0, of: Shape(outputs: 64, inputs: 64), density: 0.5, seed: 1)
    }
    let refusal = try #require(throws: Refusal.self) { try Catalog.require(members, on: device) }
    #expect(
      refusal.kind == .missing && refusal.sentence.hasPrefix("lowrank+csr, circulant cannot be computed on cuda:0"))
    try Catalog.require([members[0]], on: device)
  }

  @Test("Without NVRTC what needs a kernel is named; a dense product in fp32 needs none")
  func withoutCompiler() throws {
    fake_reset()
    fake_hide("nvrtc")
    #expect(try Catalog.unsupported(on: fakeDevice(.bf16)).map(\.family) == Catalog.all.map { $0.card.family })
    let lacking = try Catalog.unsupported(on: fakeDevice(.fp32))
    #expect(lacking.allSatisfy { $0.reason.contains("NVRTC") } && lacking.contains { $0.family == "csr" })
    #expect(!lacking.contains { $0.family == "dense" })
  }

  @Test("A failure that is no lack is not named as one")
  func failure() throws {
    fake_reset()
    let device = try fakeDevice(.fp32)
    fake_lose_device(719)
    #expect(try #require(throws: Refusal.self) { _ = try Catalog.unsupported(on: device) }.kind == .failed)
  }
}
