import Arrays
import FakeCUDA
import Foundation
import Testing

@testable import Devices
@testable import Structures

/// Products by warpgroups: what they are taken for, and the check that they have to pass on each GPU.
@Suite struct WarpgroupTests {
  private func member(_ label: String, _ outputs: Int, _ inputs: Int, _ density: Double) throws -> BSR {
    try #require(
      try Catalog.member(label, of: Shape(outputs: outputs, inputs: inputs), density: density, seed: 9) as? BSR)
  }

  /// y and dx of 200 tokens on a device.
  private func products(of grid: BlockGrid, on device: CUDADevice) throws -> [[Float]] {
    let tokens = 200
    let values = try device.makeVector(normals(grid.count, seed: 1, .bf16))
    let x = try device.makeActivations(
      normals(tokens * grid.inputs.features, seed: 2, .bf16), tokens: tokens, features: grid.inputs.features)
    let dy = try device.makeActivations(
      normals(tokens * grid.outputs.features, seed: 3, .bf16), tokens: tokens, features: grid.outputs.features)
    let y = try device.makeActivations(tokens: tokens, features: grid.outputs.features)
    let dx = try device.makeActivations(tokens: tokens, features: grid.inputs.features)
    try device.multiply(grid, values, x, into: y, accumulate: false)
    try device.multiplyTransposed(grid, values, dy, into: dx, accumulate: false)
    return [try device.rows(y), try device.rows(dx)]
  }

  /// The same on a GPU before Hopper.
  private func productsWithout(_ grid: BlockGrid) throws -> [[Float]] {
    fake_reset()
    fake_set_capability(8, 0)
    defer { fake_reset() }
    let result = try products(of: grid, on: fakeDevice(.bf16, trustsKernels: false))
    #expect(fake_launches("grid_warpgroup") == 0 && fake_launches("grid_warpgroup_transposed") == 0)
    return result
  }

  @Test("Strips have every piece of 64 x 64 once, at its rows and columns, in both directions")
  func strips() throws {
    for (label, outputs, inputs) in [("bsr-64", 640, 320), ("bsr-128", 256, 1280), ("bsr-64x128", 448, 640)] {
      let grid = try member(label, outputs, inputs, 0.3).grid
      let expected = pieces(of: grid)
      for transposed in [false, true] {
        let strips = grid.strips(transposed: transposed, share: 6)
        var found = Set<WarpgroupPiece>()
        for tile in 0..<strips.start.count - 1 {
          for k in Int(strips.start[tile])..<Int(strips.start[tile + 1]) {
            for place in 0..<6 where strips.block[k * 6 + place] >= 0 {
              let (own, other) = (Int(strips.row[tile * 6 + place]), Int(strips.neighbour[k]))
              let piece = WarpgroupPiece(
                place: Int(strips.block[k * 6 + place]), row: transposed ? other : own, column: transposed ? own : other
              )
              #expect(found.insert(piece).inserted)
            }
          }
        }
        #expect(found == expected, "\(label) transposed \(transposed)")
      }
    }
  }

  @Test("On Hopper, products that pass the check are by warpgroups, with the bits of mma.sync in the fake")
  func agrees() throws {
    for label in ["bsr-64", "bsr-128", "bsr-64x128"] {
      let grid = try member(label, 640, 768, 0.4).grid
      let without = try productsWithout(grid)
      do {
        let device = try fakeDevice(.bf16, trustsKernels: false)
        let got = try products(of: grid, on: device)
        #expect(got == without, "\(label)")
        // Once in the check, once for the product.
        #expect(fake_launches("grid_warpgroup") == 2 && fake_launches("grid_warpgroup_transposed") == 2)
        #expect(try products(of: grid, on: device) == without)
        #expect(fake_launches("grid_warpgroup") == 3)
        let sentence = try #require(try device.kernelCheck())
        #expect(sentence.contains("agreed"))
      }
      #expect(fake_live_allocations() == 0 && fake_live_objects() == 0 && fake_damaged_guards() == 0)
    }
    #expect(try CUDADiagnosis.check(fakeLibraries(), cache: nil).contains { $0.contains("agreed") })
  }

  @Test("A GPU that reads the descriptors otherwise is found out: mma.sync computes, and doctor and the device say so")
  func differs() throws {
    let grid = try member("bsr-64", 640, 768, 0.4).grid
    let without = try productsWithout(grid)
    fake_exchange_strides(1)
    let device = try fakeDevice(.bf16, trustsKernels: false)
    #expect(try products(of: grid, on: device) == without)
    #expect(fake_launches("grid_warpgroup") == 1 && fake_launches("grid_warpgroup_transposed") == 1)
    let sentence = try #require(try device.kernelCheck())
    #expect(sentence.contains("grid_warpgroup gave other numbers") && sentence.contains("mma.sync"))
    #expect(try CUDADiagnosis.check(fakeLibraries(), cache: nil).contains(sentence))
    // Without the check the numbers are wrong: it is what keeps them right.
    #expect(try products(of: grid, on: fakeDevice(.bf16, trustsKernels: true)) != without)
  }

  @Test("A kernel that fails in the check is not used, and the other one is")
  func fails() throws {
    let grid = try member("bsr-64", 640, 768, 0.4).grid
    let without = try productsWithout(grid)
    fake_fail("grid_warpgroup", 1, 701)
    let device = try fakeDevice(.bf16, trustsKernels: false)
    #expect(try products(of: grid, on: device) == without)
    #expect(fake_launches("grid_warpgroup") == 0 && fake_launches("grid_warpgroup_transposed") == 2)
    let sentence = try #require(try device.kernelCheck())
    #expect(sentence.contains("grid_warpgroup failed") && !sentence.contains("transposed"))
  }

  @Test("A kernel whose check takes the GPU with it is not tried again; removing the file tries it again")
  func remembers() throws {
    let grid = try member("bsr-64", 640, 768, 0.4).grid
    let without = try productsWithout(grid)
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("filigree-trust-\(UUID())")
    defer { try? FileManager.default.removeItem(at: folder) }
    func device() throws -> CUDADevice { try CUDADevice(fakeLibraries(), precision: .bf16, cache: folder) }
    fake_fail("grid_warpgroup", 1, 719)
    let lost = try device()
    #expect(throws: Refusal.self) { _ = try products(of: grid, on: lost) }
    fake_reset()
    let next = try device()
    #expect(try products(of: grid, on: next) == without)
    #expect(fake_launches("grid_warpgroup") == 0)
    let sentence = try #require(try next.kernelCheck())
    #expect(sentence.contains("did not end an earlier check"))
    let file = try #require(
      try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        .first { $0.pathExtension == "txt" })
    #expect(sentence.contains(file.lastPathComponent))
    try FileManager.default.removeItem(at: file)
    #expect(try #require(try device().kernelCheck()).contains("agreed"))
  }

  @Test("There is no check, and no sentence, before Hopper and in fp32")
  func absent() throws {
    fake_reset()
    #expect(try fakeDevice(.fp32, trustsKernels: false).kernelCheck() == nil)
    fake_set_capability(8, 0)
    #expect(try fakeDevice(.bf16, trustsKernels: false).kernelCheck() == nil)
    #expect(fake_launches(nil) == 0)
  }
}
