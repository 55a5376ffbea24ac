import Arrays
import FakeCUDA
import Testing

@testable import Devices
@testable import Structures

/// Tiles of block-sparse products that share their columns of x, or dy.
@Suite struct SharingTests {
  private func member(_ label: String, _ outputs: Int, _ inputs: Int, _ density: Double) throws -> BSR {
    try #require(
      try Catalog.member(label, of: Shape(outputs: outputs, inputs: inputs), density: density, seed: 9) as? BSR)
  }

  @Test("Tiles of rows have every row once and every block once, at its row and column; columns ascend")
  func tiles() throws {
    for (label, outputs, inputs, density, share) in [
      ("bsr-16", 320, 160, 0.3, 4), ("bsr-16", 112, 1200, 0.05, 8), ("bsr-16", 16, 64, 1.0, 2),
      ("bsr-16", 80, 64, 0.1, 4),
    ] {
      let grid = try member(label, outputs, inputs, density).grid
      let rows = SharedRows(
        start: grid.rowStart, neighbour: grid.column, blocks: nil, columns: grid.inputs.groups, share: share)
      let columns = SharedRows(
        start: grid.columnStart, neighbour: grid.row, blocks: grid.block, columns: grid.outputs.groups, share: share)
      for (tiles, groups, transposed) in [(rows, grid.outputs.groups, false), (columns, grid.inputs.groups, true)] {
        #expect(tiles.row.filter { $0 >= 0 }.sorted() == (0..<Int32(groups)).map { $0 })
        #expect(
          tiles.row.count == (groups + share - 1) / share * share && tiles.start.count == tiles.row.count / share + 1)
        var found = Set<[Int32]>()
        for tile in 0..<tiles.start.count - 1 {
          let range = Int(tiles.start[tile])..<Int(tiles.start[tile + 1])
          #expect(zip(range, range.dropFirst()).allSatisfy { tiles.neighbour[$0] < tiles.neighbour[$1] })
          for k in range {
            for place in 0..<share {
              let block = tiles.block[k * share + place]
              #expect((block >= 0) == (tiles.present[k] >> Int32(place) & 1 == 1))
              guard block >= 0 else { continue }
              let ends = [tiles.row[tile * share + place], tiles.neighbour[k]]
              #expect(found.insert([block] + (transposed ? ends.reversed() : ends)).inserted)
            }
          }
        }
        let expected = (0..<grid.outputs.groups).flatMap { row in
          (grid.rowStart[row]..<grid.rowStart[row + 1]).map { [$0, Int32(row), grid.column[Int($0)]] }
        }
        #expect(found == Set(expected))
      }
    }
  }

  @Test("Rows that have their columns in common come into one tile")
  func grouping() throws {
    // Rows 0, 2, 4 and 1, 3, 5 are alike.
    let start: [Int32] = [0, 2, 4, 6, 8, 10, 12], column: [Int32] = [0, 3, 1, 2, 0, 3, 1, 2, 0, 3, 1, 2]
    let tiles = SharedRows(start: start, neighbour: column, blocks: nil, columns: 4, share: 3)
    #expect(tiles.row == [0, 2, 4, 1, 3, 5] && tiles.neighbour == [0, 3, 1, 2] && tiles.present == [7, 7, 7, 7])
  }

  @Test("Bundles have every piece once, in one row, at most as many as share and as even as they go")
  func bundles() throws {
    for (density, share) in [(0.3, 4), (0.7, 3), (1.0, 8)] {
      let grid = try member("bsr-32", 128, 320, density).grid
      let triples = grid.bundles(side: 16, share: share)
      var next: Int32 = 0
      for bundle in stride(from: 0, to: triples.count, by: 3) {
        let row = Int(triples[bundle]), first = triples[bundle + 1], count = triples[bundle + 2]
        #expect(first == next && count >= 1 && count <= share)
        #expect(first >= grid.rowStart[row] * 2 && first + count <= grid.rowStart[row + 1] * 2)
        let pieces = Int(grid.rowStart[row + 1] - grid.rowStart[row]) * 2, bundles = (pieces + share - 1) / share
        #expect(Int(count) >= pieces / bundles && Int(count) <= pieces / bundles + 1)
        next += count
      }
      #expect(Int(next) == grid.blocks * 2)
    }
  }

  @Test(
    "A product by tiles that share has the bits of one that does not", arguments: ["bsr-32", "bsr-64", "bsr-128"])
  func sameBits(_ label: String) throws {
    fake_reset()
    fake_set_capability(8, 0)
    let structure = try member(label, 512, 512, 0.7), side = Int(label.dropFirst(4))!
    let products = try CUDAProducts(CUDASubject(structure: structure, precision: .bf16))
    let x = normals(130 * 512, seed: 1, .bf16), dy = normals(130 * 512, seed: 2, .bf16)
    let many = try products.run(x: x, dy: dy)
    #expect(fake_launches("grid_tensor_shared_\(side)") == 1)
    #expect(fake_launches("grid_tensor_shared_transposed_\(side)") == 1)
    #expect(fake_launches("grid_tensor_\(side)") == 0 && fake_launches("grid_tensor_transposed_\(side)") == 0)
    #expect(
      fake_launches("grid_tensor_gradient_shared_\(side)") == 1 && fake_launches("grid_tensor_gradient_\(side)") == 0)
    // Too few tokens for a tile a multiprocessor.
    let few = try products.run(x: Array(x.prefix(40 * 512)), dy: Array(dy.prefix(40 * 512)))
    #expect(fake_launches("grid_tensor_\(side)") == 1 && fake_launches("grid_tensor_transposed_\(side)") == 1)
    #expect(few.y == Array(many.y.prefix(40 * 512)) && few.dx == Array(many.dx.prefix(40 * 512)))
  }

  @Test("Grids with little in common do not share")
  func alone() throws {
    fake_reset()
    fake_set_capability(8, 0)
    // One block in a row, each in a column of its own.
    let groups = FeatureGroups.contiguous(groups: 8, members: 64)
    let grid = try BlockGrid(
      outputs: groups, inputs: groups, rowStart: Array(0...8), column: (0..<8).map { Int32(7 - $0) })
    let device = try fakeDevice(.bf16)
    let values = try device.makeVector([Float](repeating: 1, count: grid.count)),
      gradient = try device.makeVector(count: grid.count)
    let x = try device.makeActivations([Float](repeating: 1, count: 200 * 512), tokens: 200, features: 512)
    let y = try device.makeActivations(tokens: 200, features: 512)
    try device.multiply(grid, values, x, into: y, accumulate: false)
    try device.accumulateGradient(grid, dy: y, x: x, into: gradient)
    #expect(try device.rows(y).allSatisfy { $0 == 64 } && device.numbers(gradient).allSatisfy { $0 == 64 * 200 })
    #expect(fake_launches("grid_tensor_64") == 1 && fake_launches("grid_tensor_gradient_64") == 1)
  }

  @Test("What the tiles of docs/CUDA.md's example meet, of the columns that their rows would meet alone")
  func counted() throws {
    for (label, outputs, inputs, forward, backward, stripsForward, stripsBackward) in [
      ("bsr-64", 14336, 4096, 0.64, 0.80, 0.56, 0.72), ("bsr-64", 4096, 14336, 0.80, 0.64, 0.72, 0.56),
      ("bsr-128", 14336, 4096, 0.77, 0.90, 0.33, 0.42), ("bsr-128", 4096, 14336, 0.90, 0.77, 0.42, 0.33),
    ] {
      let grid = try member(label, outputs, inputs, 0.1).grid, share = 256 / grid.outputs.members
      let rows = SharedRows(
        start: grid.rowStart, neighbour: grid.column, blocks: nil, columns: grid.inputs.groups, share: share)
      let columns = SharedRows(
        start: grid.columnStart, neighbour: grid.row, blocks: grid.block, columns: grid.outputs.groups, share: share)
      let met = [rows, columns].map { Double($0.neighbour.count) / Double(grid.blocks) }
      let strips = [false, true].map {
        Double(grid.strips(transposed: $0, share: 6).neighbour.count) / Double(grid.count / 4096)
      }
      #expect(met[0] <= forward && met[1] <= backward, "\(label) \(outputs)x\(inputs): \(met)")
      #expect(
        strips[0] <= stripsForward && strips[1] <= stripsBackward, "\(label) \(outputs)x\(inputs): \(strips)")
    }
  }
}
