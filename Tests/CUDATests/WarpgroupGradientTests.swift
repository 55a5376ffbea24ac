import Arrays
import CCUDA
import FakeCUDA
import Testing

@testable import Devices
@testable import Structures

/// The weight gradient by warpgroups: its tiles, its numbers, what it is taken for, and what happens where it cannot be.
@Suite struct WarpgroupGradientTests {
  private static let kernel = "grid_warpgroup_gradient"

  private func grid(_ label: String, _ outputs: Int, _ inputs: Int, _ density: Double) throws -> BlockGrid {
    let member = try Catalog.member(label, of: Shape(outputs: outputs, inputs: inputs), density: density, seed: 9)
    return try #require(member as? BSR).grid
  }

  @Test("Tiles have every piece of 64 x 64 once, on its own strips, at most 12 pieces and 13 strips, the fullest first")
  func tiles() throws {
    for (label, outputs, inputs, density) in [
      ("bsr-64", 640, 320, 0.3), ("bsr-128", 256, 1280, 0.5), ("bsr-64x128", 448, 640, 0.2),
      ("bsr-192x64", 576, 1280, 1),
    ] {
      let grid = try grid(label, outputs, inputs, density), record = GradientTiles(grid).record
      let length = GradientTiles.length
      #expect(record.count % length == 0 && record == GradientTiles(grid).record)
      var found = Set<WarpgroupPiece>(), strips: [Int] = []
      for tile in stride(from: 0, to: record.count, by: length) {
        let (lefts, all, count) = (Int(record[tile]), Int(record[tile + 1]), Int(record[tile + 2]))
        #expect(all <= 13 && count >= 1 && count <= 12 && lefts < all)
        let lines = Array(record[(tile + 3)..<(tile + 3 + all)])
        #expect(Set(lines[..<lefts]).count == lefts && Set(lines[lefts...]).count == all - lefts)
        var used = Set<Int>()
        for piece in 0..<count {
          let operands = Int(record[tile + 16 + 2 * piece]), (left, right) = (operands & 255, operands >> 8)
          #expect(left < lefts && right >= lefts && right < all)
          used.formUnion([left, right])
          let (row, column) = (Int(lines[left]), Int(lines[right]))
          #expect(row.isMultiple(of: 64) && column.isMultiple(of: 64))
          #expect(
            found.insert(
              WarpgroupPiece(place: Int(record[tile + 17 + 2 * piece]), row: row / 64, column: column / 64)
            ).inserted)
        }
        #expect(used.count == all, "a strip is copied for nothing")
        strips.append(all)
      }
      #expect(found == pieces(of: grid), "\(label)")
      #expect(strips == strips.sorted(by: >))
      let counts = GradientTiles.counts(of: record)
      #expect(counts.tiles == strips.count && counts.strips == strips.reduce(0, +) && counts.most == strips[0])
    }
  }

  @Test("A grid that is full needs no more than 7 strips for 12 pieces where it divides, and 4 x 3 pieces are one tile")
  func fullGrids() throws {
    #expect(GradientTiles.counts(of: GradientTiles(try grid("bsr-64", 256, 192, 1)).record) == (1, 7, 7))
    let counts = GradientTiles.counts(of: GradientTiles(try grid("bsr-64", 768, 768, 1)).record)
    #expect(counts.tiles == 12 && counts.strips == 12 * 7)
  }

  @Test("What the tiles of docs/CUDA.md's example read, in strips a piece, and how many there are")
  func counted() throws {
    for (label, outputs, inputs, most, tiles) in [
      ("bsr-64", 14336, 4096, 0.86, 125), ("bsr-64", 4096, 14336, 0.86, 125), ("bsr-128", 14336, 4096, 0.71, 122),
      ("bsr-128", 4096, 14336, 0.71, 122),
    ] {
      let grid = try grid(label, outputs, inputs, 0.1), counts = GradientTiles.counts(of: GradientTiles(grid).record)
      let share = Double(counts.strips) / Double(grid.count / 4096)
      #expect(share <= most && counts.tiles <= tiles, "\(label) \(outputs)x\(inputs): \(share), \(counts.tiles)")
    }
  }

  /// The gradient of `tokens` tokens, added to `start`, on a device.
  private func gradient(
    of grid: BlockGrid, _ tokens: Int, _ start: [Float], on device: CUDADevice
  ) throws -> [Float] {
    let dvalues = try device.makeVector(start)
    let x = try device.makeActivations(
      normals(tokens * grid.inputs.features, seed: 2, .bf16), tokens: tokens, features: grid.inputs.features)
    let dy = try device.makeActivations(
      normals(tokens * grid.outputs.features, seed: 3, .bf16), tokens: tokens, features: grid.outputs.features)
    try device.accumulateGradient(grid, dy: dy, x: x, into: dvalues)
    return try device.numbers(dvalues)
  }

  /// The same on a GPU before Hopper.
  private func gradientWithout(_ grid: BlockGrid, _ tokens: Int, _ start: [Float]) throws -> [Float] {
    fake_reset()
    fake_set_capability(8, 0)
    defer { fake_reset() }
    let result = try gradient(of: grid, tokens, start, on: fakeDevice(.bf16, trustsKernels: false))
    #expect(fake_launches(Self.kernel) == 0)
    return result
  }

  /// Grids whose gradient is by warpgroups on the fake's three multiprocessors, and into how many shares their tokens are cut.
  struct Case: Sendable {
    let label: String
    let outputs: Int
    let inputs: Int
    let density: Double
    let tokens: Int
    var shares = 1
  }

  private static let cases = [
    Case(label: "bsr-64", outputs: 640, inputs: 768, density: 0.4, tokens: 200),
    Case(label: "bsr-128", outputs: 512, inputs: 512, density: 1, tokens: 200),
    Case(label: "bsr-64x128", outputs: 640, inputs: 768, density: 0.4, tokens: 1),
    // One tile, for which three shares are a third of the reading.
    Case(label: "bsr-64", outputs: 256, inputs: 192, density: 1, tokens: 2100, shares: 3),
  ]

  @Test(
    "The gradient is that of the definition, added to what is there, with one share of the tokens and with several",
    arguments: cases)
  func numbers(_ a: Case) throws {
    fake_reset()
    let (label, tokens, shares) = (a.label, a.tokens, a.shares)
    let grid = try grid(label, a.outputs, a.inputs, a.density), start = normals(grid.count, seed: 4, .fp32)
    let device = try fakeDevice(.bf16, trustsKernels: false)
    let got = try gradient(of: grid, tokens, start, on: device)
    // Twice in the check, then here; the check's second time is in shares.
    #expect(fake_launches(Self.kernel) == 3)
    #expect(fake_launches("add_partials") == (shares > 1 ? 2 : 1))
    let x = normals(tokens * grid.inputs.features, seed: 2, .bf16).doubles
    let dy = normals(tokens * grid.outputs.features, seed: 3, .bf16).doubles
    var expected = start.doubles, size = start.doubles.map(abs)
    for row in 0..<grid.outputs.groups {
      for k in Int(grid.rowStart[row])..<Int(grid.rowStart[row + 1]) {
        for i in 0..<grid.outputs.members {
          for j in 0..<grid.inputs.members {
            let at = (k * grid.outputs.members + i) * grid.inputs.members + j
            let (line, column) = (row * grid.outputs.members + i, Int(grid.column[k]) * grid.inputs.members + j)
            for t in 0..<tokens {
              let term = dy[t * grid.outputs.features + line] * x[t * grid.inputs.features + column]
              expected[at] += term
              size[at] += abs(term)
            }
          }
        }
      }
    }
    // The fake rounds a sum once for every 16 tokens; then the shares are added, and what was there.
    let roundings = Double((tokens + 63) / 64 * 4 + shares + 1)
    expectWithin(got, expected, size.map { $0 * roundings * 0x1p-24 * 1.01 }, "\(label), \(tokens) tokens")
  }

  @Test("On Hopper a gradient that passes the check is by warpgroups, with the bits of mma.sync in the fake")
  func agrees() throws {
    for a in Self.cases.filter({ $0.shares == 1 }) {
      let grid = try grid(a.label, a.outputs, a.inputs, a.density), start = normals(grid.count, seed: 4, .fp32)
      let without = try gradientWithout(grid, a.tokens, start)
      // A block's memory need not begin where a pattern of the swizzling does.
      for begin: UInt32 in [1024, 1152, 1920] {
        fake_begin_shared_at(begin)
        let device = try fakeDevice(.bf16, trustsKernels: false)
        #expect(try gradient(of: grid, a.tokens, start, on: device) == without, "\(a.label) from \(begin)")
        #expect(try #require(try device.kernelCheck()).contains("agreed"))
      }
      #expect(fake_launches(Self.kernel) == 9)
      #expect(fake_live_allocations() == 0 && fake_live_objects() == 0 && fake_damaged_guards() == 0)
    }
  }

  @Test("A GPU that reads the descriptors otherwise is found out: mma.sync computes, and the device says so")
  func differs() throws {
    let grid = try grid("bsr-64", 640, 768, 0.4), start = normals(grid.count, seed: 4, .fp32)
    let without = try gradientWithout(grid, 200, start)
    fake_exchange_strides(1)
    let device = try fakeDevice(.bf16, trustsKernels: false)
    #expect(try gradient(of: grid, 200, start, on: device) == without && fake_launches(Self.kernel) == 1)
    #expect(try #require(try device.kernelCheck()).contains("\(Self.kernel) gave other numbers than mma.sync"))
    #expect(try gradient(of: grid, 200, start, on: fakeDevice(.bf16, trustsKernels: true)) != without)
  }

  @Test(
    "Without tensor maps, or where one is refused or the kernel fails, mma.sync computes, and the sentence says why")
  func absent() throws {
    let grid = try grid("bsr-64", 640, 768, 0.4), start = normals(grid.count, seed: 4, .fp32)
    let without = try gradientWithout(grid, 200, start)
    for (fault, words) in [
      ({ fake_hide("cuTensorMap") }, "no tensor maps"), ({ fake_fail("cuTensorMapEncodeTiled", 1, 1) }, "a tensor map"),
      ({ fake_fail(Self.kernel, 1, 701) }, "failed on this GPU"),
    ] {
      fake_reset()
      fault()
      let device = try fakeDevice(.bf16, trustsKernels: false)
      #expect(try gradient(of: grid, 200, start, on: device) == without, "\(words)")
      #expect(fake_launches(Self.kernel) == 0)
      let sentence = try #require(try device.kernelCheck())
      #expect(sentence.contains(words) && sentence.contains("mma.sync computes in its place"), "\(sentence)")
      #expect(!sentence.contains("transposed"))
    }
    #expect(fake_live_objects() == 0)
  }

  @Test("Blocks with no strip in common stay with mma.sync, which fills the chip with smaller tiles")
  func apart() throws {
    fake_reset()
    let groups = FeatureGroups.contiguous(groups: 8, members: 64)
    let grid = try BlockGrid(
      outputs: groups, inputs: groups, rowStart: Array(0...8), column: (0..<8).map { Int32(7 - $0) })
    let got = try gradient(
      of: grid, 200, [Float](repeating: 0, count: grid.count), on: fakeDevice(.bf16, trustsKernels: false))
    #expect(fake_launches(Self.kernel) == 0 && fake_launches("grid_tensor_gradient_64") == 1)
    #expect(try got == gradientWithout(grid, 200, [Float](repeating: 0, count: grid.count)))
  }
}
