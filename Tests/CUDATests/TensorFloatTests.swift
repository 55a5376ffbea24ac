import Arrays
import FakeCUDA
import Measuring
import Testing

@testable import Devices
@testable import Structures

/// tf32: which products round their factors, and that counts, records and the bound of the verification know it.
@Suite struct TensorFloatTests {
  private static let shape = Shape(outputs: 64, inputs: 96)

  private func products(_ label: String, _ precision: CUDAPrecision) throws -> (CUDAProducts.Result, rounded: Int) {
    fake_reset()
    let structure = try Catalog.member(label, of: Self.shape, density: 0.25, seed: 2)
    let products = try CUDAProducts(CUDASubject(structure: structure, precision: precision)), tokens = 20
    let result = try products.run(
      x: normals(tokens * Self.shape.inputs, seed: 1, .fp32), dy: normals(tokens * Self.shape.outputs, seed: 2, .fp32))
    return (result, products.device.tensorFloatFlops)
  }

  @Test("Products by cuBLASLt round their factors and are counted; the own kernels compute as in fp32, bit for bit")
  func who() throws {
    for label in ["dense", "lowrank", "monarch-4", "blockdiagonal-4"] {
      let (full, none) = try products(label, .fp32), (got, rounded) = try products(label, .tf32)
      #expect(none == 0 && rounded > 0, "\(label)")
      #expect(got.y != full.y && got.dx != full.dx && got.dvalues != full.dvalues, "\(label)")
    }
    for label in ["csr", "bsr-16", "nm-2:4", "diagonal"] {
      let (full, none) = try products(label, .fp32), (got, rounded) = try products(label, .tf32)
      #expect(none == 0 && rounded == 0 && got == full, "\(label)")
    }
    // Of a dense matrix, all three products.
    #expect(try products("dense", .tf32).rounded == 3 * 2 * Self.shape.count * 20)
  }

  @Test("A record says tf32 where a product computed in it, and its bound is tf32's there and fp32's elsewhere")
  func records() throws {
    fake_reset()
    fake_set_memory(128 << 20)
    let device = try fakeDevice(.tf32), bench = try Bench(device: device, libraries: [])
    bench.budget = 0
    #expect(bench.machine.peakInstruction == "fp32 multiply-add")
    for (label, dtype) in [("dense", "tf32"), ("lowrank", "tf32"), ("csr", "float32"), ("bsr-16", "float32")] {
      let structure = try Catalog.member(label, of: Self.shape, density: 0.25, seed: 2)
      try bench.run(structure, requestedDensity: 0.25, tokens: 20, passes: DenseProduct.allCases) { record in
        #expect(record.dtype == dtype && record.verified, "\(label) \(record.pass): \(record.errorFraction)")
        // Such errors as there are lie far beyond fp32's bound where factors are rounded, and below it elsewhere.
        let fp32 = RoundingBound.gamma(Self.shape.inputs + Self.shape.outputs + structure.savedFeatures + 4 + 20)
        if label == "dense" { #expect(record.errorFraction * 3 * 0x1p-11 > fp32, "\(record.pass)") }
      }
    }
  }
}
